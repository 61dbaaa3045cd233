/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-gpio: the GPIO lines of this computer. */
#include "base/confine.h"
#include "gpio/worker.h"

#define MEMORY_MAX      (24 * 1024 * 1024) /* bytes */
#define DESCRIPTORS_MAX 4096               /* one for each line, with libgpiod 1 */

int main(int argc, char *argv[]) {
        /* Chips come and go, and libgpiod reads in /sys what they are. */
        static const char *const calls[] = {
                "access",     "faccessat", "faccessat2", "fcntl",      "fcntl64", "fstatat64", "getdents64",
                "ioctl",      "lstat",     "lstat64",    "newfstatat", "open",    "openat",    "readlink",
                "readlinkat", "stat",      "stat64",     "statx",      NULL};
        static const ConfinePath paths[] = {{"/dev", true}, {"/sys", false}, {.path = NULL}};
        static const Confinement confinement = {
                .calls = calls, .paths = paths, .memory = MEMORY_MAX, .descriptors = DESCRIPTORS_MAX};
        GpioWorker w = {.end = {.socket = WIRE_FD, .passed = -1}};

        worker_prepare(argc, argv);
        int r = confine(&confinement);
        if (r >= 0)
                r = worker_run(&w);
        worker_clear(&w);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
