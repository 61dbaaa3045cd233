/* SPDX-License-Identifier: Apache-2.0 */
/* What both versions of libgpiod leave to us: which chips there are, and times on our clock. */
#include "gpio/kernel.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#define CHIP_PREFIX "gpiochip"
/* An edge that is told later than this was stamped by another clock (kernels before 5.7). */
#define EDGE_AGE_MAX (60 * USEC_PER_SEC)

static int is_chip(const struct dirent *d) {
        size_t n = strlen(CHIP_PREFIX);

        return strncmp(d->d_name, CHIP_PREFIX, n) == 0 && d->d_name[n] >= '0' && d->d_name[n] <= '9' &&
               strlen(d->d_name) < GPIO_NAME;
}

int gpio_list_chips(char (**ret)[GPIO_NAME], unsigned *ret_n) {
        struct dirent **entries = NULL;
        int n = scandir("/dev", &entries, is_chip, versionsort);

        if (n < 0)
                return -errno;
        char(*names)[GPIO_NAME] = calloc((size_t)MAX(n, 1), sizeof(*names));
        for (int i = 0; i < n; i++) {
                if (names)
                        memcpy(names[i], entries[i]->d_name, strlen(entries[i]->d_name) + 1);
                free(entries[i]);
        }
        free(entries);
        if (!names)
                return -ENOMEM;
        *ret = names;
        *ret_n = (unsigned)n;
        return 0;
}

static uint64_t read_clock(clockid_t id) {
        struct timespec ts;

        (void)clock_gettime(id, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t gpio_boot_time(uint64_t monotonic_ns) {
        uint64_t at = monotonic_ns / 1000, now = read_clock(CLOCK_MONOTONIC),
                 boot = read_clock(CLOCK_BOOTTIME);

        if (at > now || now - at > EDGE_AGE_MAX)
                return boot;
        return boot - (now - at);
}
