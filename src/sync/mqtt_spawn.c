/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/mqtt_spawn.h"
#include "base/macros.h"
#include "base/child.h"
#include "sync/mqtt_wire.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#define BUFFER (256 * 1024) /* more than the longest message */

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
        r = spawn_worker(program, NULL, theirs, &pid);
        if (r < 0)
                return r;
        *ret_pid = pid;
        *ret_pidfd = pidfd_open(pid, 0);
        *ret_socket = steal_fd(&ours);
        return *ret_pidfd < 0 ? -errno : 0;
}
