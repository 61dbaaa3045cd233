/* SPDX-License-Identifier: Apache-2.0 */
/* The serial device, which lockerd-open opens: this process has no right to. */
#include "base/clock.h"
#include "base/log.h"
#include "base/opener_wire.h"
#include "fingerprint/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#define PATIENCE        (3 * USEC_PER_SEC)
#define PTY_MAJOR_FIRST 136
#define PTY_MAJOR_LAST  143
#define SEND_AT_MOST \
        (2 * USEC_PER_SEC) /* a template at 9600 baud takes 1.6 s, most of it in the kernel's buffer */
#define BITS          10   /* of a byte on the line */
#define CHATTER_BYTES 2048
#define CHATTER_USEC  (500 * USEC_PER_MSEC)

/* A device or negative errno; *ret_leaving: lockerd-open has ended. */
static int fetch(Worker *w) {
        uint64_t until = clock_now().boot_usec + PATIENCE;
        int error = 0, device = -1, r = opener_ask(w->opener);

        while (r == 0) {
                int waited = worker_wait(w, w->opener, until);
                if (waited <= 0)
                        return waited < 0 ? -ECANCELED : -ETIMEDOUT;
                r = opener_take(w->opener, &error, &device);
        }
        if (r == -EPIPE || r == -ECONNRESET) {
                /* It ended, and will not come back: neither may this process. */
                log_error("Reader %s: lockerd-open has ended; leaving", w->end.setup.name);
                w->end.leaving = true;
        }
        return r < 0 ? r : error ? -error : device;
}

static bool is_pty(int fd) {
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) >= PTY_MAJOR_FIRST &&
               major(st.st_rdev) <= PTY_MAJOR_LAST;
}

/* 8N1, raw, and nobody else's while it is in use. A pseudo terminal would stay exclusive when this process is
 * killed. */
static int prepare(int fd, unsigned baud) {
        struct termios t;

        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        if ((!is_pty(fd) && ioctl(fd, TIOCEXCL) < 0) || tcgetattr(fd, &t) < 0)
                return -errno;
        cfmakeraw(&t);
        t.c_iflag &= ~(tcflag_t)(IXOFF | IXANY | INPCK);
        t.c_cflag &= ~(tcflag_t)(CSTOPB | PARENB | PARODD | CRTSCTS);
        t.c_cflag |= CREAD | CLOCAL;
        t.c_cc[VMIN] = t.c_cc[VTIME] = 0;
        return cfsetspeed(&t, baud) < 0 || tcsetattr(fd, TCSANOW, &t) < 0 ? -errno : 0;
}

int port_open(Worker *w) {
        int fd = fetch(w), r;

        if (w->end.leaving)
                return STEP_LEAVING;
        if (fd < 0)
                return MATCHER_PROBLEM_MISSING;
        r = prepare(fd, w->end.setup.baud);
        if (r < 0) {
                close(fd);
                return MATCHER_PROBLEM_MISSING;
        }
        w->module = (Module){.fd = fd};
        return 0;
}

void port_close(Worker *w) {
        if (w->module.fd >= 0) {
                (void)tcflush(w->module.fd, TCIOFLUSH); /* else closing waits for what nobody takes */
                close(w->module.fd);
        }
        w->module.fd = -1;
}

int port_write(Worker *w, const uint8_t *bytes, size_t n) {
        uint64_t now = clock_now().boot_usec, until = now + SEND_AT_MOST;

        w->module.sent_at = MAX(now, w->module.sent_at) + n * BITS * USEC_PER_SEC / w->end.setup.baud;

        while (n > 0) {
                struct pollfd fd = {.fd = w->module.fd, .events = POLLOUT};
                ssize_t sent = write(w->module.fd, bytes, n);

                if (sent > 0) {
                        bytes += sent;
                        n -= (size_t)sent;
                } else if (sent < 0 && errno != EAGAIN && errno != EINTR)
                        return MATCHER_PROBLEM_UNPLUGGED;
                else if (clock_now().boot_usec >= until)
                        return MATCHER_PROBLEM_SILENT;
                else
                        (void)poll(&fd, 1, 50);
        }
        return 0;
}

int port_read(Worker *w, uint8_t *bytes, size_t room) {
        ssize_t n = read(w->module.fd, bytes, room);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        return n == 0 ? -EPIPE : (int)n;
}

int port_quiet(Worker *w, uint64_t quiet_usec) {
        uint64_t give_up = clock_now().boot_usec + CHATTER_USEC + quiet_usec;
        uint8_t bytes[256];
        size_t total = 0;

        for (;;) {
                int r = worker_wait(w, w->module.fd, clock_now().boot_usec + quiet_usec);
                if (r <= 0)
                        return r;
                r = port_read(w, bytes, sizeof(bytes));
                explicit_bzero(bytes, sizeof(bytes));
                if (r < 0)
                        return MATCHER_PROBLEM_UNPLUGGED;
                total += (size_t)r;
                if (total > CHATTER_BYTES || clock_now().boot_usec > give_up)
                        return MATCHER_PROBLEM_CHATTER;
        }
}
