/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

static int spawn(const char *program, const char *const argv[], int fd, int fd_there,
                 char *const environment[], pid_t *ret) {
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
                                        environment);
                posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
        if (r)
                return -r;
        *ret = pid;
        return 0;
}

int child_spawn(const char *program, const char *const argv[], int fd, int fd_there, bool idle, pid_t *ret) {
        int r = spawn(program, argv, fd, fd_there, environ, ret);

        /* Not by attribute: glibc's posix_spawnattr_setschedpolicy() refuses SCHED_IDLE (EINVAL). A failure
         * is ignored: the work matters more than its priority. */
        if (r >= 0 && idle)
                (void)sched_setscheduler(*ret, SCHED_IDLE, &(struct sched_param){0});
        return r;
}

/* A connection to a unit's socket: who has made that is the service manager, as root, or whoever runs this.
 */
static int connect_unit(const char *path, Child *ret) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct ucred peer;
        socklen_t n = sizeof(peer);

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 || fcntl(fd, F_SETFL, 0) < 0)
                return -errno;
        if (peer.uid != 0 && peer.uid != geteuid())
                return -EPERM;
        *ret = CHILD_NONE;
        ret->socket = steal_fd(&fd);
        return 0;
}

static bool is_socket(const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* What says how to log; nothing else of the daemon's environment is for a worker. */
static void make_environment(char *ret[2]) {
        static const char journal[] = "JOURNAL_STREAM=";
        size_t n = 0;

        for (char **e = environ; *e; e++)
                if (!n && strncmp(*e, journal, sizeof(journal) - 1) == 0)
                        ret[n++] = *e;
        ret[n] = NULL;
}

int child_start(const char *path, const char *argument, int buffer, Child *ret) {
        _cleanup_close_ int theirs = -1;
        Child c = CHILD_NONE;
        char *environment[2];
        int pair[2], r;

        if (is_socket(path))
                return connect_unit(path, ret);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        c.socket = pair[0];
        theirs = pair[1];
        if (buffer) {
                (void)setsockopt(c.socket, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
                (void)setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
        }
        make_environment(environment);
        r = spawn(path, (const char *const[]){path, argument, NULL}, theirs, CHILD_FD, environment, &c.pid);
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
