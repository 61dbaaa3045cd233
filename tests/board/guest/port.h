/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The channels to the test outside: virtio-serial ports, found by name without udev's help. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* → descriptor, or -1 when there is no such port. */
static inline int port_open_once(const char *wanted) {
        DIR *directory = opendir("/sys/class/virtio-ports");
        struct dirent *entry;
        int fd = -1;

        while (directory && fd < 0 && (entry = readdir(directory))) {
                char path[300], name[64] = "";
                FILE *f;

                snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
                if (entry->d_name[0] == '.' || !(f = fopen(path, "re")))
                        continue;
                if (fgets(name, sizeof(name), f))
                        name[strcspn(name, "\n")] = 0;
                fclose(f);
                if (strcmp(name, wanted) != 0)
                        continue;
                snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
                fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        }
        if (directory)
                closedir(directory);
        return fd;
}

/* Waits for the driver, ten seconds. */
static inline int port_open(const char *wanted) {
        for (int tries = 0; tries < 200; tries++) {
                int fd = port_open_once(wanted);
                if (fd >= 0)
                        return fd;
                usleep(50000);
        }
        return -1;
}

static inline uint64_t boot_us(void) {
        struct timespec t;

        clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
