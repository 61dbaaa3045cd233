/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/lockerd_program.h"
#include "base/macros.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The lockerd that belongs to this lockerctl: beside it, in the sbin of its bin, else from PATH (which
 * often has no sbin for users other than root). */
const char *lockerd_program(char buffer[PATH_MAX]) {
        static const char *const places[] = {"lockerd", "../sbin/lockerd", "../daemon/lockerd"};
        char here[PATH_MAX];

        ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
        here[MAX(n, 0)] = 0;
        char *slash = strrchr(here, '/');
        for (size_t i = 0; slash && i < ARRAY_SIZE(places); i++) {
                *slash = 0;
                int k = snprintf(buffer, PATH_MAX, "%s/%s", here, places[i]);
                if (k > 0 && k < PATH_MAX && access(buffer, X_OK) == 0)
                        return buffer;
        }
        return "lockerd";
}

size_t lockerd_files(const Args *a, const char **argv, size_t n) {
        static const char *const options[][2] = {{"config", "--config"}, {"cabinet", "--cabinet"}};

        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (args_has(a, options[i][0])) {
                        argv[n++] = options[i][1];
                        argv[n++] = args_get(a, options[i][0]);
                }
        return n;
}
