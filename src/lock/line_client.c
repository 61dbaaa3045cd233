/* SPDX-License-Identifier: Apache-2.0 */
#include "lock/line_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/message-ids.h"
#include "base/child.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define HEARTBEAT  USEC_PER_SEC
#define UNANSWERED 3 /* pings; then the worker hangs */
/* At once: the worker may have died in the middle of a pulse, which only its successor can end. */
#define RESTART_FIRST (20 * USEC_PER_MSEC)
#define RESTART_MAX   (8 * USEC_PER_SEC)
#define STABLE        60 /* heartbeats after which a worker counts as good */

struct LineClient {
        sd_event *event;
        const Cabinet *cabinet;
        const Facts *facts;
        int line;
        const char *worker_directory;
        const LineClientHandlers *handlers;
        void *userdata;

        pid_t pid; /* 0: none */
        int pidfd, socket;
        sd_event_source *on_socket, *on_exit, *timer;
        unsigned beats, unanswered, patience; /* heartbeats */
        uint64_t restart_backoff;
};

/* A line kind's worker. GPIO lines need another program, which speaks the same messages. */
static const char *worker_program(LineKind kind) {
        switch (kind) {
        case LINE_SERIAL:
        case LINE_TCP:
                return "lockerd-line";
        case LINE_GPIO:
                return NULL;
        }
        return NULL;
}

static int send_line(LineClient *c) {
        const Line *l = &c->cabinet->lines[c->line];
        WireLine m = {
                .kind = l->kind,
                .baud = l->baud,
                .parity = (uint32_t)l->parity,
                .stop_bits = l->stop_bits,
                .rs485 = l->rs485,
                .tcp_port = l->tcp_port,
                .response_timeout_ms = l->response_timeout_ms,
        };

        if (snprintf(m.device, sizeof(m.device), "%s", l->device) >= (int)sizeof(m.device))
                return -ENAMETOOLONG;
        snprintf(m.name, sizeof(m.name), "%.*s", (int)sizeof(m.name) - 1, l->name);
        return line_client_send(c, WIRE_LINE, &m);
}

static int send_profile(LineClient *c, uint32_t index, const BoardProfile *p) {
        WireProfile m = {
                .index = index,
                .unlock = p->unlock,
                .all_off = p->all_off,
                .outputs = p->outputs,
                .inputs = p->inputs,
                .coil_base = p->coil_base,
                .on_value = p->on_value,
                .off_value = p->off_value,
                .flash_base = p->flash_base,
                .flash_unit_ms = p->flash_unit_ms,
                .max_pulse_ms = p->max_pulse_ms,
                .all_off_address = p->all_off_address,
                .all_off_value = p->all_off_value,
                .coil_function = p->coil_function,
                .input_function = p->input_function,
                .input_base = p->input_base,
                .identify_function = p->identify_function,
                .identify_address = p->identify_address,
                .identify_min = p->identify_min,
                .identify_max = p->identify_max,
                .identify_limit = p->identify_limit,
                .factory_address = p->factory_address,
        };

        return line_client_send(c, WIRE_PROFILE, &m);
}

static int send_board(LineClient *c, int board, uint32_t profile) {
        const Board *b = &c->cabinet->boards[board];
        WireBoard m = {.board = (uint32_t)board, .profile = profile, .address = b->address};

        facts_used(c->facts, board, m.inputs_used);
        snprintf(m.name, sizeof(m.name), "%.*s", (int)sizeof(m.name) - 1, b->name);
        return line_client_send(c, WIRE_BOARD, &m);
}

/* Only the profiles that this line's boards use, numbered from 0. */
static int send_setup(LineClient *c) {
        const Cabinet *k = c->cabinet;
        _cleanup_free_ int *number = calloc((size_t)MAX(k->n_profiles, 1), sizeof(*number));
        WireId start = {0};
        uint32_t n = 0;
        int r;

        if (!number)
                return -ENOMEM;
        r = send_line(c);
        for (int p = 0; p < k->n_profiles && r >= 0; p++) {
                number[p] = -1;
                for (int b = 0; b < k->n_boards && number[p] < 0; b++)
                        if (k->boards[b].line == c->line && k->boards[b].profile == p)
                                number[p] = (int)n++;
                if (number[p] >= 0)
                        r = send_profile(c, (uint32_t)number[p], &k->profiles[p]);
        }
        for (int b = 0; b < k->n_boards && r >= 0; b++)
                if (k->boards[b].line == c->line)
                        r = send_board(c, b, (uint32_t)number[k->boards[b].profile]);
        return r < 0 ? r : line_client_send(c, WIRE_START, &start);
}

static void forget_worker(LineClient *c) {
        c->on_socket = sd_event_source_disable_unref(c->on_socket);
        c->on_exit = sd_event_source_disable_unref(c->on_exit);
        if (c->socket >= 0)
                close(steal_fd(&c->socket));
        if (c->pidfd >= 0)
                close(steal_fd(&c->pidfd));
        c->pid = 0;
}

static void arm(LineClient *c, uint64_t usec) {
        (void)sd_event_source_set_time_relative(c->timer, usec);
        (void)sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void restart_later(LineClient *c, const char *sentence) {
        if (c->beats > STABLE)
                c->restart_backoff = 0;
        c->restart_backoff = c->restart_backoff ? MIN(2 * c->restart_backoff, RESTART_MAX) : RESTART_FIRST;
        arm(c, c->restart_backoff);
        c->handlers->gone(c->userdata, c->line, sentence);
}

/* Returns false when the other end is gone or talks nonsense. */
static bool read_messages(LineClient *c) {
        WireMessage m;
        int r;

        while ((r = wire_receive(c->socket, &m)) > 0) {
                if (m.header.type == WIRE_PONG) {
                        c->unanswered = 0;
                        c->patience = 0;
                        continue;
                }
                c->patience = 0;
                if (m.header.type == WIRE_LINE_STATE && m.line_state.patience_ms) {
                        c->patience = m.line_state.patience_ms / 1000 + 1;
                        continue;
                }
                c->handlers->message(c->userdata, c->line, &m);
        }
        return r == 0;
}

static int on_socket(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        LineClient *c = userdata;

        if (read_messages(c))
                return 0;
        /* A worker whose end is closed has left or is about to; one that talks nonsense must. */
        (void)sd_event_source_set_enabled(c->on_socket, SD_EVENT_OFF);
        (void)shutdown(c->socket, SHUT_RDWR);
        return 0;
}

static int on_exit_of_worker(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        LineClient *c = userdata;
        siginfo_t si = {0};
        char sentence[WIRE_SENTENCE];

        (void)read_messages(c);
        if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
                return 0;
        snprintf(sentence, sizeof(sentence), "The worker of line %s ended (%s %d)",
                 c->cabinet->lines[c->line].name, si.si_code == CLD_EXITED ? "status" : "signal",
                 si.si_status);
        log_warning("%s", sentence);
        forget_worker(c);
        restart_later(c, sentence);
        return 0;
}

static int start_worker(LineClient *c) {
        const char *program = worker_program(c->cabinet->lines[c->line].kind);
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int ours = -1, theirs = -1;
        int pair[2], r;

        if (!program)
                return -EOPNOTSUPP;
        path = text_printf("%s/%s", c->worker_directory, program);
        if (!path)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        ours = pair[0];
        theirs = pair[1];
        r = spawn_worker(path, c->cabinet->lines[c->line].name, theirs, &c->pid);
        if (r < 0) {
                c->pid = 0;
                return r;
        }
        c->socket = steal_fd(&ours);
        c->beats = c->unanswered = c->patience = 0;
        c->pidfd = pidfd_open(c->pid, 0);
        if (c->pidfd < 0)
                return -errno;
        r = sd_event_add_io(c->event, &c->on_exit, c->pidfd, EPOLLIN, on_exit_of_worker, c);
        if (r >= 0)
                r = sd_event_add_io(c->event, &c->on_socket, c->socket, EPOLLIN, on_socket, c);
        return r < 0 ? r : send_setup(c);
}

static void beat(LineClient *c) {
        WireId ping = {.id = c->beats++};

        if (c->unanswered++ >= UNANSWERED + c->patience) {
                log_message(LOG_ERR, LOCKERD_MESSAGE_WORKER_REPLACED,
                            (const char *const[]){"LOCKERD_LINE", c->cabinet->lines[c->line].name, NULL},
                            "The worker of line %s hangs; it is replaced", c->cabinet->lines[c->line].name);
                (void)kill(c->pid, SIGKILL);
                c->unanswered = 0;
        }
        (void)line_client_send(c, WIRE_PING, &ping);
        arm(c, HEARTBEAT);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        LineClient *c = userdata;
        char sentence[WIRE_SENTENCE];
        int r;

        if (c->pid) {
                beat(c);
                return 0;
        }
        r = start_worker(c);
        if (r >= 0) {
                arm(c, HEARTBEAT);
                return 0;
        }
        snprintf(sentence, sizeof(sentence), "The worker of line %s cannot be started: %s",
                 c->cabinet->lines[c->line].name, strerror(-r));
        log_error("%s", sentence);
        if (c->pid) {
                (void)kill(c->pid, SIGKILL);
                (void)waitpid(c->pid, NULL, 0);
        }
        forget_worker(c);
        restart_later(c, sentence);
        return 0;
}

int line_client_new(LineClient **ret, sd_event *event, const Cabinet *cabinet, const Facts *facts, int line,
                    const char *worker_directory, const LineClientHandlers *handlers, void *userdata) {
        _cleanup_(line_client_freep) LineClient *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        *c = (LineClient){
                .event = sd_event_ref(event),
                .cabinet = cabinet,
                .facts = facts,
                .line = line,
                .worker_directory = worker_directory,
                .handlers = handlers,
                .userdata = userdata,
                .pidfd = -1,
                .socket = -1,
        };
        r = sd_event_add_time_relative(event, &c->timer, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_timer, c);
        if (r < 0)
                return r;
        (void)sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        *ret = steal_ptr(c);
        return 0;
}

int line_client_start(LineClient *c) {
        arm(c, 0);
        return 0;
}

bool line_client_is_running(const LineClient *c) {
        return c->pid > 0;
}

int line_client_send(LineClient *c, WireType type, void *message) {
        return c->socket < 0 ? -ENOTCONN : wire_send(c->socket, type, message);
}

void line_client_stop(LineClient *c) {
        (void)sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (c->socket >= 0)
                (void)shutdown(c->socket, SHUT_RDWR);
}

void line_client_join(LineClient *c, uint64_t until) {
        struct pollfd fd = {.fd = c->pidfd, .events = POLLIN};
        uint64_t now = clock_now().boot_usec;

        if (c->pidfd < 0)
                return;
        (void)poll(&fd, 1, until > now ? (int)((until - now) / USEC_PER_MSEC) : 0);
        /* One that still waits for a board to confirm its off is left to do so. */
        (void)waitid(P_PIDFD, (id_t)c->pidfd, &(siginfo_t){0}, WEXITED | WNOHANG);
}

LineClient *line_client_free(LineClient *c) {
        if (!c)
                return NULL;
        forget_worker(c);
        sd_event_source_disable_unref(c->timer);
        sd_event_unref(c->event);
        free(c);
        return NULL;
}
