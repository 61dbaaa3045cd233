/* SPDX-License-Identifier: Apache-2.0 */
#include "base/worker.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define FIRST_TO_GO "500" /* in /proc/self/oom_score_adj; the daemon has -500 */
#define DAEMON      "--daemon="

static int manager_fd = -1;
static uint64_t alive_at; /* ms */

static void connect_manager(void) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (!path || path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
                return;
        strcpy(address.sun_path, path);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
                manager_fd = fd;
        else if (fd >= 0)
                close(fd);
}

void worker_is_alive(void) {
        struct timespec ts = {0};

        if (manager_fd < 0)
                return;
        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        uint64_t now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
        if (alive_at && now - alive_at < WORKER_ALIVE_MS)
                return;
        /* The watchdog runs from the first time on: until then a board that boots has much to do. */
        const char *words = alive_at ? "WATCHDOG=1" : "READY=1\nWATCHDOG=1";
        alive_at = now;
        (void)send(manager_fd, words, strlen(words), MSG_NOSIGNAL);
}

/* The daemon runs as the same user, or as the one that the unit names. */
static bool is_daemon(uid_t uid, const char *user) {
        const struct passwd *p = user ? getpwnam(user) : NULL;

        return uid == geteuid() || (p && uid == p->pw_uid);
}

static void check_daemon(const char *user) {
        struct ucred peer = {0};
        int type = 0;
        socklen_t n_peer = sizeof(peer), n_type = sizeof(type);

        if (getsockopt(WORKER_FD, SOL_SOCKET, SO_TYPE, &type, &n_type) < 0 || type != SOCK_SEQPACKET ||
            getsockopt(WORKER_FD, SOL_SOCKET, SO_PEERCRED, &peer, &n_peer) < 0) {
                log_error("%s is started by lockerd; it does nothing by itself.",
                          program_invocation_short_name);
                _exit(2);
        }
        if (!is_daemon(peer.uid, user)) {
                log_error("User %u is at the other end, not the daemon; leaving", (unsigned)peer.uid);
                _exit(EXIT_FAILURE);
        }
}

/* Raising it needs no right. Where there is no /proc the unit's OOMScoreAdjust= counts. */
static void be_first_to_go(void) {
        _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd >= 0)
                (void)!write(fd, FIRST_TO_GO, sizeof(FIRST_TO_GO) - 1);
}

void worker_begin(int argc, char *argv[]) {
        const char *user = argc > 1 && strncmp(argv[1], DAEMON, sizeof(DAEMON) - 1) == 0
                                   ? argv[1] + sizeof(DAEMON) - 1
                                   : NULL;

        (void)close_range(WORKER_FD + 1, ~0U, 0);
        log_open();
        check_daemon(user);
        (void)fcntl(WORKER_FD, F_SETFD, FD_CLOEXEC);
        connect_manager();
        worker_is_alive();
        be_first_to_go();
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)clearenv();
}
