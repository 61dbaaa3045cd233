/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-ble: carries the streams of phones (include/lockerd/ble.h) between BlueZ and the link. It reads
 * nothing of what it carries. bluez.c speaks with BlueZ, phones.c says whose turn it is, and this has the
 * streams: a socket each, whose other end the daemon gets. */
#include "base/clock.h"
#include "base/confine.h"
#include "base/log.h"
#include "base/worker.h"
#include "ble/ble_wire.h"
#include "ble/bluez.h"
#include "ble/phones.h"
#include "lockerd/ble.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#define MEMORY_MAX      (32 * 1024 * 1024)
#define DESCRIPTORS_MAX 64
#define FRAGMENT_MAX    512
#define PENDING_MAX     65536       /* bytes of a phone that the link has not taken yet */
#define BURST           (16 * 1024) /* bytes for a phone that BlueZ gets at once */
#define RATE            (32 * 1024) /* then so many a second: what a good connection carries */
#define PAUSE           (50 * USEC_PER_MSEC)

typedef struct Carrier Carrier;

typedef struct Stream {
        Carrier *carrier;
        Phone *phone;
        int fd; /* -1: none */
        sd_event_source *io, *pause;
        uint8_t *pending; /* of the phone, for the link */
        size_t n_pending;
        uint64_t budget, filled; /* bytes for the phone; boot µs */
} Stream;

struct Carrier {
        sd_event *event;
        int socket; /* the daemon */
        Bluez *bluez;
        sd_event_source *idle;
        Phones phones;
        Stream streams[PHONES_MAX]; /* in the places of the phones */
};

static uint64_t now_usec(const Carrier *c) {
        uint64_t now = 0;

        (void)sd_event_now(c->event, CLOCK_BOOTTIME, &now);
        return now;
}

static Stream *stream_of(Carrier *c, const Phone *p) {
        return &c->streams[p - c->phones.phones];
}

static void leave(Carrier *c) {
        (void)sd_event_exit(c->event, 0);
}

static void tell(Carrier *c, BleType type, void *body, int passed) {
        int r = ble_wire_send(c->socket, type, body, passed);

        if (r < 0) {
                if (r != -EPIPE)
                        log_error_errno(r, "Cannot tell the daemon");
                leave(c);
        }
}

static void notice(Carrier *c, const Phone *p, uint8_t what) {
        const uint8_t bytes[LOCKERD_BLE_NOTICE_SIZE] = {0, what, p->number};

        (void)bluez_notify(c->bluez, bytes, sizeof(bytes));
}

/* --- streams --- */

static void stream_close(Stream *s) {
        s->io = sd_event_source_unref(s->io);
        s->pause = sd_event_source_unref(s->pause);
        if (s->fd >= 0)
                close(steal_fd(&s->fd));
        if (s->pending)
                explicit_bzero(s->pending, s->n_pending);
        free(steal_ptr(s->pending));
        s->n_pending = 0;
}

static void watch_idle(Carrier *c);
static void serve_next(Carrier *c);

/* Told to the phone; the link sees the end of the stream. */
static void stream_end(Stream *s, const char *why) {
        Carrier *c = s->carrier;

        if (why)
                log_warning("Bluetooth %s: the stream is ended: %s", s->phone->device, why);
        stream_close(s);
        notice(c, s->phone, LOCKERD_BLE_ENDED);
        phones_ended(&c->phones, s->phone, now_usec(c));
        serve_next(c);
        watch_idle(c);
}

static int on_pause(sd_event_source *source, uint64_t usec, void *userdata) {
        Stream *s = userdata;

        (void)source;
        (void)usec;
        if (sd_event_source_set_enabled(s->io, SD_EVENT_ON) < 0)
                leave(s->carrier);
        return 0;
}

/* BlueZ keeps what a phone has not taken, without a bound of its own. */
static size_t allowed(Stream *s, uint64_t now) {
        uint64_t more = MIN(now - s->filled, USEC_PER_SEC) * RATE / USEC_PER_SEC;

        if (more) {
                s->budget = MIN(s->budget + more, (uint64_t)BURST);
                s->filled = now;
        }
        if (s->budget >= s->phone->most)
                return s->budget;
        if (sd_event_source_set_enabled(s->io, SD_EVENT_OFF) < 0 ||
            sd_event_source_set_time(s->pause, now + PAUSE) < 0 ||
            sd_event_source_set_enabled(s->pause, SD_EVENT_ONESHOT) < 0)
                leave(s->carrier);
        return 0;
}

/* What the link says, in fragments. */
static void carry_out(Stream *s) {
        uint8_t fragment[LOCKERD_BLE_OUT_HEADER + FRAGMENT_MAX];
        size_t room = allowed(s, now_usec(s->carrier));

        while (room >= s->phone->most) {
                ssize_t n = recv(s->fd, fragment + LOCKERD_BLE_OUT_HEADER, s->phone->most, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n <= 0) {
                        stream_end(s, NULL);
                        return;
                }
                fragment[0] = s->phone->number;
                fragment[1] = s->phone->out++;
                int r = bluez_notify(s->carrier->bluez, fragment, LOCKERD_BLE_OUT_HEADER + (size_t)n);
                if (r < 0) {
                        stream_end(s, "BlueZ does not take it");
                        return;
                }
                room -= (size_t)n;
                s->budget -= (size_t)n;
        }
}

/* What the link did not take before. */
static void carry_in(Stream *s) {
        ssize_t n = send(s->fd, s->pending, s->n_pending, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n < 0) {
                stream_end(s, NULL);
                return;
        }
        s->n_pending -= (size_t)n;
        memmove(s->pending, s->pending + n, s->n_pending);
        explicit_bzero(s->pending + s->n_pending, (size_t)n);
        if (!s->n_pending && sd_event_source_set_io_events(s->io, EPOLLIN) < 0)
                leave(s->carrier);
}

static int on_stream(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Stream *s = userdata;

        (void)source;
        (void)fd;
        if (s->n_pending && (events & EPOLLOUT))
                carry_in(s);
        if (s->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                carry_out(s);
        return 0;
}

/* "…/dev_AA_BB_CC_DD_EE_FF" → "AA:BB:CC:DD:EE:FF" */
static void address_of(const char *device, char ret[BLE_PHONE_MAX]) {
        const char *name = strstr(device, "/dev_");

        snprintf(ret, BLE_PHONE_MAX, "%.17s", name ? name + strlen("/dev_") : "");
        for (char *c = ret; *c; c++)
                if (*c == '_')
                        *c = ':';
}

static int stream_open(Stream *s) {
        _cleanup_close_ int other = -1;
        BleStream m = {0};
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;
        s->fd = fds[0];
        other = fds[1];
        s->budget = BURST;
        s->filled = now_usec(s->carrier);
        r = sd_event_add_io(s->carrier->event, &s->io, s->fd, EPOLLIN, on_stream, s);
        if (r >= 0)
                r = sd_event_add_time(s->carrier->event, &s->pause, CLOCK_BOOTTIME, 0, 0, on_pause, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->pause, SD_EVENT_OFF);
        if (r < 0) {
                stream_close(s);
                return r;
        }
        address_of(s->phone->device, m.phone);
        tell(s->carrier, BLE_STREAM, &m, other);
        return 0;
}

/* Its turn has come: now, or with a notice. */
static void begin(Carrier *c, Phone *p, bool waited) {
        Stream *s = stream_of(c, p);

        s->phone = p;
        if (stream_open(s) < 0) {
                log_error("Out of memory or descriptors for a phone");
                phones_ended(&c->phones, p, now_usec(c));
        } else if (waited)
                notice(c, p, LOCKERD_BLE_BEGINS);
}

static void serve_next(Carrier *c) {
        Phone *p;

        while ((p = phones_next(&c->phones, now_usec(c))))
                begin(c, p, true);
}

/* --- phones that do nothing --- */

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata) {
        Carrier *c = userdata;
        Phone *p;

        (void)source;
        (void)usec;
        while ((p = phones_overdue(&c->phones, now_usec(c))))
                bluez_disconnect(c->bluez, p->device);
        watch_idle(c);
        return 0;
}

static void watch_idle(Carrier *c) {
        uint64_t due = phones_due(&c->phones);

        if (sd_event_source_set_time(c->idle, due) < 0 ||
            sd_event_source_set_enabled(c->idle, due == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT) < 0)
                leave(c);
}

/* --- what BlueZ tells --- */

static void connected(void *userdata, const char *device) {
        Carrier *c = userdata;

        if (!phones_connected(&c->phones, device, now_usec(c)))
                bluez_disconnect(c->bluez, device);
        watch_idle(c);
}

static void gone(void *userdata, const char *device) {
        Carrier *c = userdata;
        Phone *p = phones_find(&c->phones, device);

        if (!p)
                return;
        stream_close(stream_of(c, p));
        phones_gone(&c->phones, p);
        serve_next(c);
        watch_idle(c);
}

static void all_gone(void *userdata) {
        Carrier *c = userdata;

        for (unsigned i = 0; i < PHONES_MAX; i++) {
                stream_close(&c->streams[i]);
                phones_gone(&c->phones, &c->phones.phones[i]);
        }
        watch_idle(c);
}

static int asked(void *userdata, const char *device, unsigned mtu, uint8_t status[LOCKERD_BLE_STATUS_SIZE]) {
        Carrier *c = userdata;
        uint64_t now = now_usec(c);
        Phone *p = phones_connected(&c->phones, device, now);

        if (!p)
                return -ENOBUFS;
        bool anew = p->state == PHONE_IDLE;
        phones_ask(&c->phones, p, mtu, now);
        if (anew && p->state == PHONE_SERVED)
                begin(c, p, false);
        watch_idle(c);
        if (p->state == PHONE_IDLE)
                return -ENOBUFS;
        status[LOCKERD_BLE_STATUS_VERSION] = LOCKERD_BLE_VERSION;
        status[LOCKERD_BLE_STATUS_NUMBER] = p->number;
        status[LOCKERD_BLE_STATUS_STATE] =
                p->state == PHONE_SERVED ? LOCKERD_BLE_SERVED : LOCKERD_BLE_WAITING;
        status[LOCKERD_BLE_STATUS_AHEAD] = (uint8_t)phones_ahead(&c->phones, p);
        status[LOCKERD_BLE_STATUS_MOST] = (uint8_t)(p->most >> 8);
        status[LOCKERD_BLE_STATUS_MOST + 1] = (uint8_t)p->most;
        return 0;
}

static int keep(Stream *s, const uint8_t *data, size_t n) {
        if (s->n_pending + n > PENDING_MAX)
                return -ENOBUFS;
        if (!s->pending && !(s->pending = malloc(PENDING_MAX)))
                return -ENOMEM;
        memcpy(s->pending + s->n_pending, data, n);
        s->n_pending += n;
        return sd_event_source_set_io_events(s->io, EPOLLIN | EPOLLOUT);
}

static int wrote(void *userdata, const char *device, const uint8_t *data, size_t n) {
        Carrier *c = userdata;
        Phone *p = phones_find(&c->phones, device);

        if (!p || p->state != PHONE_SERVED)
                return -ENOTCONN;
        Stream *s = stream_of(c, p);
        if (n <= LOCKERD_BLE_IN_HEADER || data[0] != p->in) {
                stream_end(s, n <= LOCKERD_BLE_IN_HEADER ? "an empty fragment" : "a fragment is missing");
                return -EPROTO;
        }
        p->in++;
        data += LOCKERD_BLE_IN_HEADER;
        n -= LOCKERD_BLE_IN_HEADER;
        ssize_t sent = s->n_pending ? 0 : send(s->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
                stream_end(s, NULL);
                return -EPIPE;
        }
        sent = MAX(sent, 0);
        if ((size_t)sent < n && keep(s, data + sent, n - (size_t)sent) < 0) {
                stream_end(s, "the phone sends more than is taken");
                return -ENOBUFS;
        }
        return 0;
}

static void health(void *userdata, BleProblem problem, const char *detail) {
        BleHealth m = {.problem = problem};

        snprintf(m.detail, sizeof(m.detail), "%s", detail);
        tell(userdata, BLE_HEALTH, &m, -1);
}

/* --- the daemon --- */

static bool give_up_rights(void) {
        static const char *const calls[] = {"dup",
                                            "epoll_create1",
                                            "epoll_ctl",
                                            "epoll_pwait",
                                            "epoll_pwait2",
                                            "epoll_wait",
                                            "fcntl",
                                            "fcntl64",
                                            "getpeername",
                                            "socketpair",
                                            "timerfd_create",
                                            "timerfd_settime",
                                            "timerfd_settime64",
                                            "uname",
                                            NULL};
        const Confinement confinement = {
                .calls = calls, .memory = MEMORY_MAX, .descriptors = DESCRIPTORS_MAX};

        return confine(&confinement) >= 0;
}

static bool set_up(Carrier *c, const BleSetup *s) {
        static const BluezHandlers handlers = {.connected = connected,
                                               .gone = gone,
                                               .all_gone = all_gone,
                                               .asked = asked,
                                               .wrote = wrote,
                                               .health = health};

        if (c->bluez)
                return false;
        c->phones.served_max = s->phones;
        int r = bluez_new(&c->bluez, c->event,
                          &(BluezOptions){.bus = s->bus, .adapter = s->adapter, .cabinet = s->cabinet},
                          &handlers, c);
        if (r < 0) {
                health(c, BLE_NO_BUS, strerror(-r));
                log_error_errno(r, "Cannot reach the system bus");
                leave(c);
                return true;
        }
        if (give_up_rights())
                return true;
        return false;
}

static bool take(Carrier *c, const BleBody *m) {
        BlePlain pong = {.number = m->plain.number};

        switch ((BleType)m->header.type) {
        case BLE_SETUP:
                return set_up(c, &m->setup);
        case BLE_STATE:
                if (c->bluez)
                        bluez_set_offline(c->bluez, m->state.offline);
                return c->bluez != NULL;
        case BLE_PING:
                tell(c, BLE_PONG, &pong, -1);
                return true;
        case BLE_HEALTH:
        case BLE_STREAM:
        case BLE_PONG:
        case BLE_TYPE_MAX:
                break;
        }
        return false;
}

static int on_daemon(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Carrier *c = userdata;
        int r = 1, passed;
        BleBody m;

        (void)source;
        (void)events;
        while ((r = ble_wire_receive(fd, true, &m, &passed)) > 0) {
                if (passed >= 0)
                        close(passed);
                if (!take(c, &m)) {
                        r = -EPROTO;
                        break;
                }
        }
        if (r == 0)
                return 0;
        if (r != -EPIPE)
                log_error_errno(r, "Message of the daemon not understood");
        return sd_event_exit(c->event, 0);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)userdata;
        worker_is_alive();
        if (sd_event_source_set_time(source, usec + WORKER_ALIVE_MS * USEC_PER_MSEC) < 0)
                return -EIO;
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int main(int argc, char *argv[]) {
        static Carrier c = {.socket = WORKER_FD};
        sd_event_source *daemon = NULL, *tick = NULL;

        worker_begin(argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        for (unsigned i = 0; i < PHONES_MAX; i++)
                c.streams[i] = (Stream){.carrier = &c, .phone = &c.phones.phones[i], .fd = -1};
        int r = sd_event_new(&c.event);
        if (r >= 0)
                r = sd_event_add_io(c.event, &daemon, c.socket, EPOLLIN, on_daemon, &c);
        if (r >= 0)
                r = sd_event_add_time(c.event, &tick, CLOCK_BOOTTIME, 0, 0, on_tick, &c);
        if (r >= 0)
                r = sd_event_add_time(c.event, &c.idle, CLOCK_BOOTTIME, USEC_INFINITY, 0, on_idle, &c);
        if (r >= 0)
                r = sd_event_loop(c.event);
        if (r < 0)
                log_error_errno(r, "The loop has ended");
        all_gone(&c);
        bluez_free(c.bluez);
        sd_event_source_unref(c.idle);
        sd_event_source_unref(tick);
        sd_event_source_unref(daemon);
        sd_event_unref(c.event);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
