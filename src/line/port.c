/* SPDX-License-Identifier: Apache-2.0 */
#include "line/port.h"
#include "core/cabinet.h"

#include <errno.h>
#include <linux/serial.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#define PTY_MAJOR_FIRST 136
#define PTY_MAJOR_LAST  143
/* A converter sends what it has read from its serial side in pieces, whose pace is the network's. */
#define GAP_NETWORK  (15 * USEC_PER_MSEC)
#define SEND_AT_MOST 100 /* ms */

static int modbus_errno(void) {
        return errno > 0 && errno < MODBUS_ENOBASE ? -errno : -EIO;
}

static void port_timing(Port *p, const WireLine *line) {
        unsigned bits = 9 + (line->parity != 'N') + line->stop_bits;

        p->timeout = line->response_timeout_ms * USEC_PER_MSEC;
        if (p->network) {
                p->char_usec = 0;
                p->gap = p->framing == FRAMING_TCP ? 0 : GAP_NETWORK;
                return;
        }
        p->char_usec = (bits * USEC_PER_SEC + line->baud - 1) / line->baud;
        p->gap = line->baud > 19200 ? 1750 : (7 * bits * USEC_PER_SEC / 2 + line->baud - 1) / line->baud;
}

/* USB adapters otherwise collect bytes for up to 16 ms, longer than a whole exchange. Where it does not
 * exist, it is not needed. */
static void set_low_latency(int fd) {
        struct serial_struct s;

        if (ioctl(fd, TIOCGSERIAL, &s) < 0)
                return;
        s.flags |= ASYNC_LOW_LATENCY;
        (void)ioctl(fd, TIOCSSERIAL, &s);
}

/* Raw, and not for a modem. libmodbus would do the same while it opens the device by its path. */
static int set_mode(int fd, const WireLine *line) {
        struct termios t;

        if (tcgetattr(fd, &t) < 0)
                return -errno;
        cfmakeraw(&t);
        t.c_iflag &= ~(tcflag_t)(IXOFF | IXANY | INPCK);
        t.c_cflag &= ~(tcflag_t)(CSTOPB | PARENB | PARODD | CRTSCTS);
        t.c_cflag |= CREAD | CLOCAL;
        if (line->stop_bits == 2)
                t.c_cflag |= CSTOPB;
        if (line->parity != 'N') {
                t.c_cflag |= PARENB;
                t.c_iflag |= INPCK;
        }
        if (line->parity == 'O')
                t.c_cflag |= PARODD;
        t.c_cc[VMIN] = t.c_cc[VTIME] = 0;
        if (cfsetspeed(&t, line->baud) < 0 || tcsetattr(fd, TCSANOW, &t) < 0)
                return -errno;
        return 0;
}

/* Nobody else opens the device while it is in use, if not root. A pseudo terminal would stay so when this
 * process is killed, until its other end is closed, too. */
static int set_exclusive(const Port *p) {
        return p->has_wire && ioctl(p->fd, TIOCEXCL) < 0 ? -errno : 0;
}

static int prepare_serial(Port *p, const WireLine *line) {
        struct stat st;

        if (fstat(p->fd, &st) < 0)
                return -errno;
        p->has_wire = !(S_ISCHR(st.st_mode) && major(st.st_rdev) >= PTY_MAJOR_FIRST &&
                        major(st.st_rdev) <= PTY_MAJOR_LAST);
        /* A worker of a former daemon may still be switching off: two masters on a line confuse every board.
         */
        if (flock(p->fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        int r = set_exclusive(p);
        if (r >= 0)
                r = set_mode(p->fd, line);
        if (r < 0)
                return r;
        set_low_latency(p->fd);
        if (line->rs485 && modbus_rtu_set_serial_mode(p->ctx, MODBUS_RTU_RS485) < 0)
                return modbus_errno();
        return 0;
}

static void discard(Port *p) {
        if (p->network)
                modbus_close(p->ctx);
        else if (p->fd >= 0) /* it would give the device the mode that it found when it opened it */
                close(p->fd);
        if (p->ctx)
                modbus_free(p->ctx);
}

int port_open(Port *p, const WireLine *line, const BoardDriver *driver, int device) {
        Port n = {.fd = device,
                  .driver = driver,
                  .network = line->kind != LINE_SERIAL,
                  .adapter = {line->echo, line->surplus_front, line->surplus_back}};
        char service[8];
        int r = 0;

        n.framing = line->kind == LINE_TCP ? FRAMING_TCP : FRAMING_SERIAL;
        if (n.network) {
                snprintf(service, sizeof(service), "%u", line->tcp_port & 0xFFFF);
                n.ctx = modbus_new_tcp_pi(line->device, service);
        } else {
                n.ctx = modbus_new_rtu(line->device, (int)line->baud, (char)line->parity, 8,
                                       (int)line->stop_bits);
        }
        if (!n.ctx) {
                r = modbus_errno();
                if (device >= 0)
                        close(device);
                return r;
        }
        port_timing(&n, line);
        /* Bounds the TCP connect. */
        (void)modbus_set_response_timeout(n.ctx, line->response_timeout_ms / 1000,
                                          line->response_timeout_ms % 1000 * 1000);
        (void)modbus_set_byte_timeout(n.ctx, 0, 0);
        if (!n.network) {
                (void)modbus_set_socket(n.ctx, n.fd);
                r = prepare_serial(&n, line);
        } else if (modbus_connect(n.ctx) < 0)
                r = modbus_errno();
        else
                n.fd = modbus_get_socket(n.ctx);
        if (r < 0) {
                discard(&n);
                return r;
        }
        n.quiet_from = clock_now().boot_usec;
        *p = n;
        return 0;
}

void port_close(Port *p) {
        if (!p->ctx)
                return;
        discard(p);
        p->ctx = NULL;
        p->fd = -1;
}

int port_send(Port *p, const uint8_t *bytes, size_t n) {
        while (n > 0) {
                ssize_t sent = p->network ? send(p->fd, bytes, n, MSG_NOSIGNAL) : write(p->fd, bytes, n);
                struct pollfd fd = {.fd = p->fd, .events = POLLOUT};

                if (sent > 0) {
                        bytes += sent;
                        n -= (size_t)sent;
                } else if (sent < 0 && errno != EAGAIN && errno != EINTR)
                        return -errno;
                else if (poll(&fd, 1, SEND_AT_MOST) == 0)
                        return -ETIMEDOUT; /* a request is shorter than any buffer: nobody takes bytes any
                                              more */
        }
        return 0;
}

int port_read(Port *p, uint8_t *bytes, size_t room) {
        ssize_t n = read(p->fd, bytes, room);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
        return n == 0 ? -EPIPE : (int)n;
}

int port_flush(Port *p, uint8_t *kept, size_t room) {
        uint8_t bytes[ANSWER_MAX];
        int waiting = 0, total = 0;

        while (ioctl(p->fd, FIONREAD, &waiting) == 0 && waiting > 0) {
                int n = port_read(p, bytes, sizeof(bytes));
                if (n < 0)
                        return n;
                if ((size_t)total < room)
                        memcpy(kept + total, bytes, MIN((size_t)n, room - (size_t)total));
                total += n;
                if (total > 65536)
                        break; /* a line that babbles faster than it is read */
        }
        return total;
}
