/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"
#include "base/macros.h"

#include <signal.h>
#include <spawn.h>

int spawn_worker(const char *program, const char *argument, int fd, pid_t *ret) {
        char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)argument, NULL};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r) {
                posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        sigemptyset(&none);
        sigfillset(&all);
        r = posix_spawn_file_actions_adddup2(&actions, fd, SPAWN_FD);
        if (!r)
                r = posix_spawn_file_actions_addclosefrom_np(&actions, SPAWN_FD + 1);
        if (!r)
                r = posix_spawnattr_setsigmask(&attributes, &none);
        if (!r)
                r = posix_spawnattr_setsigdefault(&attributes, &all);
        if (!r)
                r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (!r)
                r = posix_spawn(ret, program, &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}
