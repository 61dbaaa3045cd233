/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-line: one line of lock boards, serial or over a network. */
#include "base/confine.h"
#include "line/worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define REOPEN_FIRST    (250 * USEC_PER_MSEC)
#define REOPEN_MAX      (8 * USEC_PER_SEC)
#define HOLD_AT_MOST    (50 * USEC_PER_MSEC) /* a commit on a slow card */
#define CONNECT_MS      30000                /* a name look-up may take that long */
#define BOARDS_MAX      247
#define PROFILES_MAX    247
#define MEMORY_MAX      (24 * 1024 * 1024) /* bytes; it needs less than one */
#define DESCRIPTORS_MAX 16

void worker_send(Worker *w, WireType type, void *message) {
        worker_end_send(&w->end, w->line.name, type, message);
}

void worker_report_line(Worker *w, bool working, unsigned patience_ms, const char *format, ...) {
        WireLineState m = {.working = working, .patience_ms = patience_ms};
        va_list ap;

        va_start(ap, format);
        vsnprintf(m.sentence, sizeof(m.sentence), format, ap);
        va_end(ap);
        worker_send(w, WIRE_LINE_STATE, &m);
        if (!patience_ms)
                w->line_works = working;
}

uint64_t worker_jitter(Worker *w, uint64_t usec) {
        /* Keeps boards that vanished together from being probed together; quality does not matter. */
        w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        return usec - usec / 4 + (w->random >> 33) % (usec / 2 + 1);
}

static bool take_line(Worker *w, const WireLine *l) {
        bool serial = l->kind == LINE_SERIAL && l->baud >= 300 && l->stop_bits >= 1 && l->stop_bits <= 2 &&
                      (l->parity == 'N' || l->parity == 'E' || l->parity == 'O');

        if (!serial && l->kind != LINE_TCP && l->kind != LINE_RAW_TCP)
                return false;
        if (!l->response_timeout_ms || l->response_timeout_ms > 2000 ||
            strnlen(l->name, sizeof(l->name)) == sizeof(l->name) ||
            strnlen(l->device, sizeof(l->device)) == sizeof(l->device))
                return false;
        w->line = *l;
        return true;
}

static bool take_profile(Worker *w, const WireProfile *p) {
        if (p->index != w->n_profiles || w->n_profiles >= PROFILES_MAX || w->n_units > 0)
                return false;
        const BoardDriver *driver = driver_of(p->protocol);
        if (!driver || (w->driver && w->driver != driver))
                return false;
        w->driver = driver;
        if (p->inputs > WIRE_CHANNELS || p->outputs > WIRE_CHANNELS || p->unlock > UNLOCK_PULSE ||
            p->all_off > ALL_OFF_EACH)
                return false;
        WireProfile *more = reallocarray(w->profiles, w->n_profiles + 1, sizeof(*more));
        if (!more)
                return false;
        w->profiles = more;
        w->profiles[w->n_profiles++] = *p;
        return true;
}

static bool take_board(Worker *w, const WireBoard *b) {
        if (b->profile >= w->n_profiles || b->address > UINT8_MAX || w->n_units >= BOARDS_MAX ||
            b->idle_poll_ms < PACE_IDLE_MIN || b->idle_poll_ms > PACE_IDLE_MAX)
                return false;
        Unit *more = reallocarray(w->units, w->n_units + 1, sizeof(*more));
        if (!more)
                return false;
        w->units = more;
        Unit *u = &w->units[w->n_units++];
        *u = (Unit){.board = b->board,
                    .address = (uint8_t)b->address,
                    .profile = &w->profiles[b->profile],
                    .driver = w->driver,
                    .doubts.driver = w->driver,
                    .looked_for = USEC_INFINITY,
                    .idle_ms = b->idle_poll_ms,
                    .round_over = true};
        inputs_init(&u->inputs, b, u->profile->inputs);
        memcpy(u->name, b->name, sizeof(u->name) - 1);
        return true;
}

/* A serial line: what it has, and nothing that has a name. A network: names are looked up, and may be in
 * files. */
static bool give_up_rights(const Worker *w) {
        static const char *const calls[] = {"fcntl", "fcntl64", "flock", "ioctl", NULL};
        static const ConfinePath names[] = {
                {"/etc", false}, {"/usr", false}, {"/lib", false}, {"/run", false}, {.path = NULL}};
        bool network = w->line.kind != LINE_SERIAL;
        Confinement c = {
                .calls = calls,
                .paths = network ? names : NULL,
                .network = network,
                .memory = MEMORY_MAX,
                .descriptors = DESCRIPTORS_MAX,
        };

        return confine(&c) >= 0;
}

static bool take_message(void *userdata, const WireMessage *m) {
        Worker *w = userdata;

        switch (m->header.type) {
        case WIRE_LINE:
                return !w->started && take_line(w, &m->line);
        case WIRE_DEVICE:
                if (w->started || w->opener >= 0 || w->end.passed < 0)
                        return false;
                w->opener = steal_fd(&w->end.passed);
                return true;
        case WIRE_PROFILE:
                return !w->started && take_profile(w, &m->profile);
        case WIRE_BOARD:
                return !w->started && take_board(w, &m->board);
        case WIRE_START:
                w->started = w->line.response_timeout_ms > 0 && give_up_rights(w);
                if (!w->driver)
                        w->driver = &modbus_driver; /* a line without boards */
                return w->started;
        case WIRE_COMMAND:
                w->hold_until = 0;
                if (w->started) {
                        command_queue(w, &m->command);
                        poll_stir(w);
                }
                return w->started;
        case WIRE_WITHDRAW:
                command_withdraw(w, m->id.id);
                return true;
        case WIRE_HOLD:
                w->hold_until = worker_now() + HOLD_AT_MOST;
                poll_stir(w);
                return true;
        case WIRE_LOOK:
                poll_look(w, m->id.id);
                return true;
        case WIRE_ATTEND:
                poll_attend(w, m->id.id);
                return true;
        default: /* a number from outside, not an enum of ours */
                return false;
        }
}

static void receive_messages(Worker *w) {
        worker_end_receive(&w->end, w->line.name, take_message, w);
}

/* Without a descriptor it also returns when something came from the daemon. */
int worker_wait(void *userdata, int fd, uint64_t until) {
        Worker *w = userdata;

        for (;;) {
                struct pollfd fds[] = {{.fd = w->end.leaving ? -1 : w->end.socket, .events = POLLIN},
                                       {.fd = fd, .events = POLLIN}};
                int r = worker_poll(fds, ARRAY_SIZE(fds), until);

                if (r < 0 && r != -EINTR)
                        return r;
                if (r > 0 && fds[1].revents)
                        return 1;
                if (r > 0 && fds[0].revents) {
                        receive_messages(w);
                        if (fd < 0)
                                return 0;
                }
                if (r == 0)
                        return 0;
        }
}

void worker_open_line(Worker *w) {
        bool was_working = w->line_works;
        int r;

        if (w->line.kind != LINE_SERIAL)
                worker_report_line(w, was_working, CONNECT_MS, "Connecting");
        r = line_open(w);
        if (r < 0) {
                uint64_t backoff = w->reopen_backoff;
                if (was_working || !w->line_reported)
                        line_lost(w, strerror(-r));
                w->line_reported = true;
                w->reopen_backoff = backoff ? MIN(2 * backoff, REOPEN_MAX) : REOPEN_FIRST;
                w->reopen_at = worker_now() + worker_jitter(w, w->reopen_backoff);
                return;
        }
        w->reopen_backoff = 0;
        if (was_working)
                return; /* a TCP connection that was only renewed */
        w->line_reported = true;
        worker_report_line(w, true, 0, "%s works", w->line.device);
        for (unsigned i = 0; i < w->n_units; i++)
                unit_restart(&w->units[i]);
        w->factory_due = 0;
}

static int run(Worker *w) {
        worker_end_hello(&w->end, w->line.name);
        while (!w->started && !w->end.leaving)
                if (worker_wait(w, -1, USEC_INFINITY) < 0)
                        return -EIO;
        while (!w->end.leaving) {
                /* Also between turns that never wait: exchanges that end with an answer look at the line
                 * only. */
                receive_messages(w);
                if (!w->end.leaving)
                        worker_turn(w);
        }
        if (!port_is_open(&w->port) && w->started)
                (void)line_open(w);
        if (port_is_open(&w->port))
                command_switch_everything_off(w);
        port_close(&w->port);
        return 0;
}

int main(int argc, char *argv[]) {
        Worker w = {.end = {.socket = WIRE_FD, .passed = -1},
                    .opener = -1,
                    .port.fd = -1,
                    .random = worker_now()};

        worker_prepare(argc, argv);
        int r = run(&w);
        free(w.units);
        free(w.profiles);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
