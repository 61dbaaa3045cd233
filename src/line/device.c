/* SPDX-License-Identifier: Apache-2.0 */
/* The device of a serial line, which this process may not open itself: lockerd-open does. */
#include "base/passing.h"
#include "line/opener.h"
#include "line/worker.h"

#include <errno.h>
#include <sys/socket.h>

#define PATIENCE (3 * USEC_PER_SEC)

/* 1: an answer, and its descriptor or -1; 0: none now; negative errno. */
static int take_answer(int socket, OpenerAnswer *ret, int *ret_fd) {
        struct iovec part = {.iov_base = ret, .iov_len = sizeof(*ret)};
        Passing passing = {0};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

        passing_expect(&passing, &m);
        ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        *ret_fd = passing_take(&passing);
        if (n == sizeof(*ret))
                return 1;
        if (*ret_fd >= 0)
                close(steal_fd(ret_fd));
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n < 0 ? -errno : n == 0 ? -EPIPE : -EPROTO;
}

/* What was asked for and came too late. */
static int forget_old_answers(int socket) {
        OpenerAnswer a;
        int fd, r;

        while ((r = take_answer(socket, &a, &fd)) > 0)
                if (fd >= 0)
                        close(fd);
        return r;
}

static int fetch(Worker *w) {
        uint64_t until = worker_now() + PATIENCE;
        OpenerAnswer a = {0};
        int fd, r = w->opener < 0 ? -ENOTCONN : forget_old_answers(w->opener);

        if (r >= 0 && send(w->opener, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                r = -errno;
        while (r == 0) {
                r = worker_wait(w, w->opener, until);
                if (r <= 0)
                        return r < 0 ? r : -ETIMEDOUT;
                r = take_answer(w->opener, &a, &fd);
        }
        if (r == -EPIPE || r == -ECONNRESET) {
                /* It ended, and will not come back: neither may this process. */
                log_error("Line %s: lockerd-open has ended; leaving", w->line.name);
                w->end.leaving = true;
        }
        if (r < 0)
                return r;
        if (a.error)
                return -a.error;
        return fd >= 0 ? fd : -EPROTO;
}

int line_open(Worker *w) {
        int device = -1;

        if (w->line.kind == LINE_SERIAL) {
                device = fetch(w);
                if (device < 0)
                        return device;
        }
        return port_open(&w->port, &w->line, w->driver, device);
}
