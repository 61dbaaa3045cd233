/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/mqtt_spawn.h"
#include "base/macros.h"
#include "sync/mqtt_wire.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#define BUFFER (256 * 1024) /* more than the longest message */

static int spawn(const char *path, int fd, pid_t *ret) {
        char *argv[] = {(char *)path, NULL};
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
        r = posix_spawn_file_actions_adddup2(&actions, fd, MQTT_WIRE_FD);
        if (!r)
                r = posix_spawn_file_actions_addclosefrom_np(&actions, MQTT_WIRE_FD + 1);
        if (!r)
                r = posix_spawnattr_setsigmask(&attributes, &none);
        if (!r)
                r = posix_spawnattr_setsigdefault(&attributes, &all);
        if (!r)
                r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (!r)
                r = posix_spawn(ret, path, &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

int mqtt_spawn(const char *program, pid_t *ret_pid, int *ret_pidfd, int *ret_socket) {
        _cleanup_close_ int ours = -1, theirs = -1;
        int pair[2], size = BUFFER, r;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        ours = pair[0];
        theirs = pair[1];
        /* Where the kernel allows less it cuts; its default is enough for the longest message. */
        (void)setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        (void)setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        r = spawn(program, theirs, &pid);
        if (r < 0)
                return r;
        *ret_pid = pid;
        *ret_pidfd = pidfd_open(pid, 0);
        *ret_socket = steal_fd(&ours);
        return *ret_pidfd < 0 ? -errno : 0;
}
