/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/line.h"
#include "base/text.h"
#include "sim/answer.h"
#include "sim/language.h"
#include "sim/report.h"
#include "sim/tcp.h"
#include "sim/tty.h"

#include <errno.h>
#include <sys/epoll.h>

/* Bytes of a fast line are sent in groups of about this duration, as from a UART's FIFO; the last byte
 * of a frame is still exact. */
#define BUNCH      NSEC_PER_MSEC
#define LEFT_AFTER NSEC_PER_SEC

static void pop_sending(Line *l) {
        Sending *s = l->sending;

        l->sending = s->next;
        free(s);
}

static void deliver(Line *l, const Sending *s, size_t n) {
        if (l->tcp)
                tcp_write(l, s->client, s->bytes + s->done, n);
        else if (pty_in_use(l->fd) && write(l->fd, s->bytes + s->done, n) < 0 && errno != EAGAIN)
                l->n_garbage++; /* a full buffer loses bytes, as an overrun does */
}

static void schedule_sending(Line *l, uint64_t now) {
        Sending *s = l->sending;

        if (!s)
                return;
        if (!s->done && s->start < l->tx_end)
                s->start = l->tx_end;
        uint64_t next = s->start + (s->done + 1) * s->step, end = s->start + s->n * s->step;
        uint64_t wake = MIN(MAX(next, now + BUNCH), end);
        if (s->step && wake > s->start)
                wake = s->start + (wake - s->start) / s->step * s->step;
        loop_arm(&l->sim->loop, &l->tx_timer, wake);
}

static void send_due(void *userdata, uint64_t due) {
        Line *l = userdata;
        uint64_t now = loop_now();
        Sending *s = l->sending;

        if (!s)
                return;
        size_t ready = s->step ? (size_t)MIN((uint64_t)s->n, (now - s->start) / s->step) : s->n;
        if (ready > s->done) {
                deliver(l, s, ready - s->done);
                s->done = ready;
        }
        if (s->done == s->n) {
                l->tx_end = s->start + s->n * s->step;
                l->owed = s->clean && s->step > 0;
                journal_frame(l, "tx", s->start, l->tx_end, s->bytes, s->n);
                pop_sending(l);
        }
        schedule_sending(l, now);
}

void line_send(Line *l, const Sending *what) {
        Sending **at = &l->sending, *s = malloc(sizeof(*s));

        if (!s)
                return;
        *s = *what;
        s->done = 0;
        while (*at && ((*at)->done || (*at)->start <= s->start))
                at = &(*at)->next;
        s->next = *at;
        *at = s;
        if (l->sending == s)
                schedule_sending(l, 0);
}

/* A frame is complete, its end is on the wire: 1 handled, 0 more bytes are needed, -1 only silence ends
 * it. */
static int take_frame(Line *l, bool silence) {
        int n = l->language->length(l->rx, l->n_rx);
        uint8_t address;
        Pdu request;

        if (silence && n <= 0)
                n = (int)l->n_rx;
        if (n < 0)
                return -1;
        if (n < 4 || (size_t)n > l->n_rx)
                return 0;
        if (!l->language->open(l->rx, (size_t)n, &address, &request))
                return -1;
        uint64_t end = l->rx_start + (uint64_t)n * l->char_time,
                 seen = silence ? l->rx_end + l->silence : end;
        l->n_requests++;
        journal_frame(l, "rx", l->rx_start, end, l->rx, (size_t)n);
        l->n_rx -= (size_t)n;
        memmove(l->rx, l->rx + n, l->n_rx);
        l->rx_start = end;
        answer_request(l, 0, 0, address, &request, seen);
        return 1;
}

static void discard(Line *l, const char *why) {
        if (!l->n_rx)
                return;
        journal_frame(l, why, l->rx_start, l->rx_end, l->rx, l->n_rx);
        l->n_garbage++;
        l->n_rx = 0;
}

static void frame_due(void *userdata, uint64_t due) {
        Line *l = userdata;
        bool silence = due >= l->rx_end + l->silence;

        while (l->n_rx && take_frame(l, silence) > 0)
                ;
        if (silence)
                discard(l, "garbage");
        else if (l->n_rx)
                loop_arm(&l->sim->loop, &l->rx_timer, l->rx_end + l->silence);
}

static bool right_speed(Line *l, uint64_t now) {
        unsigned speed = l->tcp ? 0 : pty_speed(l->fd);

        if (l->sim->options.any_speed || !speed || speed == l->baud)
                return true;
        if (!l->speed_told)
                object(l->sim, now, "speed", NULL, "line %s runs at %u baud, its master at %u", l->name,
                       l->baud, speed);
        l->speed_told = true;
        return false;
}

/* As it goes out. */
static void send_echo(Line *l, const uint8_t *bytes, size_t n, uint64_t now) {
        for (size_t i = 0; i < n; i += FRAME_MAX) {
                Sending s = {.start = now, .step = l->char_time, .n = MIN(n - i, (size_t)FRAME_MAX)};
                memcpy(s.bytes, bytes + i, s.n);
                line_send(l, &s);
        }
}

/* A master that sends while a response is on the wire destroys its own request; the response is corrupt
 * too, but a sending master would not receive it. */
void line_received(Line *l, const uint8_t *bytes, size_t n, uint64_t now) {
        if (l->echo)
                send_echo(l, bytes, n, now);
        if (l->sending && now >= l->sending->start && !l->sim->options.fast && !l->echo) {
                l->n_collisions++;
                journal_frame(l, "collision", now, now, bytes, n);
                return;
        }
        if (l->owed && now < l->tx_end + l->silence)
                object(l->sim, now, "gap", NULL,
                       "line %s: a request %u us after an answer, 3.5 characters are %u us", l->name,
                       (unsigned)((now - l->tx_end) / NSEC_PER_USEC), (unsigned)(l->silence / NSEC_PER_USEC));
        l->owed = false;
        if (!right_speed(l, now)) {
                l->n_garbage++;
                return;
        }
        if (l->n_rx && now > l->rx_end + l->silence)
                discard(l, "garbage");
        if (!l->n_rx)
                l->rx_start = l->rx_end = MAX(now, l->rx_end);
        if (l->n_rx + n > RX_MAX)
                discard(l, "garbage");
        memcpy(l->rx + l->n_rx, bytes, n);
        l->n_rx += n;
        l->rx_end = MAX(l->rx_end, now) + n * l->char_time;
        loop_arm(&l->sim->loop, &l->rx_timer, l->rx_end);
}

static void still_on(void *userdata, uint64_t due) {
        Line *l = userdata;
        const Sim *s = l->sim;

        if (l->tcp ? l->clients != NULL : pty_in_use(l->fd))
                return;
        for (size_t i = 0; i < s->n_boards; i++) {
                Board *b = &s->boards[i];
                for (unsigned c = 0; b->line == l && c < b->profile->outputs; c++)
                        if (b->coils[c].on)
                                object(l->sim, due, "left-on", b,
                                       "coil %s:%u is on a second after the last master has closed line %s",
                                       b->name, c + 1, l->name);
        }
}

void line_opened(Line *l, uint64_t at) {
        if (l->open)
                return;
        l->open = true;
        l->speed_told = l->owed = false;
        journal_write(l->sim, at, "opened", json_pack("{s:s}", "line", l->name));
}

void line_left(Line *l, uint64_t at) {
        if (!l->open)
                return;
        l->open = l->owed = false;
        journal_write(l->sim, at, "closed", json_pack("{s:s}", "line", l->name));
        loop_arm(&l->sim->loop, &l->left, at + LEFT_AFTER);
}

/* Edge-triggered: a pty that no program has open reports HUP all the time, and one report is enough. */
static void pty_ready(void *userdata, uint32_t events) {
        Line *l = userdata;
        uint8_t bytes[RX_MAX];
        ssize_t n;

        while ((n = read(l->fd, bytes, sizeof(bytes))) > 0) {
                uint64_t now = loop_now();
                line_opened(l, now);
                line_received(l, bytes, (size_t)n, now);
        }
        if (l->open && !pty_in_use(l->fd)) {
                line_left(l, loop_now());
                pty_flush(l->pty);
        }
}

static void babble_due(void *userdata, uint64_t due) {
        Line *l = userdata;
        Sending s = {.start = due, .step = l->char_time};

        s.n = (size_t)sim_random(l->sim, 1, 8);
        for (size_t i = 0; i < s.n; i++)
                s.bytes[i] = (uint8_t)sim_random(l->sim, 0, 255);
        line_send(l, &s);
        line_babble(l, l->babble);
}

void line_babble(Line *l, uint64_t every) {
        l->babble = every;
        loop_disarm(&l->sim->loop, &l->babble_timer);
        if (every)
                loop_arm(&l->sim->loop, &l->babble_timer,
                         loop_now() + every / 2 + sim_random(l->sim, 0, every));
}

static int start_pty(Line *l) {
        const Options *o = &l->sim->options;
        int r;

        l->fd = pty_open(l->baud, &l->pty);
        if (l->fd < 0) {
                fprintf(stderr, "locksim: no pty for line %s: %s\n", l->name, strerror(-l->fd));
                return l->fd;
        }
        _cleanup_free_ char *link =
                o->link_dir ? text_printf("%s/%s", o->link_dir, l->name) : strdup(l->device);
        if (!link)
                return -ENOMEM;
        r = pty_link(l->pty, link);
        if (r < 0) {
                fprintf(stderr, "locksim: line %s: cannot make the link %s: %s\n", l->name, link,
                        strerror(-r));
                return r;
        }
        l->link = steal_ptr(link);
        l->source = (Source){.ready = pty_ready, .userdata = l};
        return loop_watch(&l->sim->loop, l->fd, EPOLLIN | EPOLLET, &l->source);
}

int line_start(Line *l) {
        if (l->sim->options.fast)
                l->char_time = 0;
        if (!l->language)
                l->language = &modbus_language; /* a line without boards */
        l->tx_timer = (Timer){.fire = send_due, .userdata = l};
        l->rx_timer = (Timer){.fire = frame_due, .userdata = l};
        l->left = (Timer){.fire = still_on, .userdata = l};
        l->babble_timer = (Timer){.fire = babble_due, .userdata = l};
        return l->tcp ? tcp_start(l) : start_pty(l);
}

void line_stop(Line *l) {
        if (l->link)
                unlink(l->link);
        if (l->tcp)
                tcp_stop(l);
        while (l->sending)
                pop_sending(l);
        closep(&l->fd);
        l->fd = -1;
        free(l->link);
        free(l->pty);
}
