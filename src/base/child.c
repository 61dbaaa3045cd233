/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"
#include "base/macros.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int fd, int fd_there) {
        sigset_t none, all;
        int r;

        sigemptyset(&none);
        sigfillset(&all);
        r = posix_spawn_file_actions_adddup2(actions, fd, fd_there);
        if (!r)
                r = posix_spawn_file_actions_addclosefrom_np(actions, MAX(fd_there, STDERR_FILENO) + 1);
        if (!r)
                r = posix_spawnattr_setsigmask(attributes, &none);
        if (!r)
                r = posix_spawnattr_setsigdefault(attributes, &all);
        if (!r)
                r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        return r;
}

int child_spawn(const char *program, const char *const argv[], int fd, int fd_there, bool idle, pid_t *ret) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        pid_t pid;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (!r) {
                r = prepare(&actions, &attributes, fd, fd_there);
                if (!r)
                        r = posix_spawn(&pid, program, &actions, &attributes, (char *const *)(uintptr_t)argv,
                                        environ);
                posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
        if (r)
                return -r;
        /* Not by attribute: glibc's posix_spawnattr_setschedpolicy() refuses SCHED_IDLE (EINVAL). A failure
         * is ignored: the work matters more than its priority. */
        if (idle)
                (void)sched_setscheduler(pid, SCHED_IDLE, &(struct sched_param){0});
        *ret = pid;
        return 0;
}

int child_start(const char *program, const char *argument, int buffer, Child *ret) {
        _cleanup_close_ int theirs = -1;
        Child c = CHILD_NONE;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        c.socket = pair[0];
        theirs = pair[1];
        if (buffer) {
                (void)setsockopt(c.socket, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
                (void)setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
        }
        r = child_spawn(program, (const char *const[]){program, argument, NULL}, theirs, CHILD_FD, false,
                        &c.pid);
        if (r < 0) {
                child_forget(&c);
                return r;
        }
        c.pidfd = pidfd_open(c.pid, 0);
        if (c.pidfd < 0) {
                r = -errno;
                child_kill(&c);
                return r;
        }
        *ret = c;
        return 0;
}

void child_forget(Child *c) {
        if (c->socket >= 0)
                close(c->socket);
        if (c->pidfd >= 0)
                close(c->pidfd);
        *c = CHILD_NONE;
}

void child_kill(Child *c) {
        if (c->pid > 0) {
                (void)kill(c->pid, SIGKILL);
                while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        child_forget(c);
}
