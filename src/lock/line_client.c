/* SPDX-License-Identifier: Apache-2.0 */
#include "lock/line_client.h"
#include "base/clock.h"
#include "base/supervisor.h"
#include "base/text.h"
#include "base/log.h"
#include "base/opener.h"
#include "core/bucket.h"

#include <errno.h>
#include <stdio.h>

#define UNANSWERED 3 /* pings; then the worker hangs */
/* At once: the worker may have died in the middle of a pulse, which only its successor can end. */
#define RESTART_FIRST (20 * USEC_PER_MSEC)
#define RESTART_MAX   (8 * USEC_PER_SEC)

#define AT_ONCE 16 /* messages a turn of the loop: a flood must not keep doors, or other lines, waiting */
/* Of a worker that somebody else's code has taken over: each message may be a row in the ledger. Honest ones
 * read their boards some dozens of times a second, and tell what has changed. */
static const BucketRules message_pace = {.burst = 1000, .each_usec = 4 * USEC_PER_MSEC};
static const BucketRules state_pace = {.burst = 30, .each_usec = USEC_PER_SEC / 2};

struct LineClient {
        const Cabinet *cabinet;
        const Facts *facts;
        int line;
        sd_event *event;
        char *opener; /* the program */
        const LineClientHandlers *handlers;
        void *userdata;
        Supervisor *worker;
        bool attended;
        Bucket messages, states; /* of all workers of this line; what they say of the line itself */
        const char *fields[3];   /* of its log messages */
};

/* A line kind's worker. GPIO lines have another program, which speaks the same messages. */
static const char *worker_program(LineKind kind) {
        switch (kind) {
        case LINE_SERIAL:
        case LINE_TCP:
        case LINE_RAW_TCP:
                return "lockerd-line";
        case LINE_GPIO:
                return "lockerd-gpio";
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
                .echo = l->echo,
                .surplus_front = l->surplus_front,
                .surplus_back = l->surplus_back,
        };

        if (snprintf(m.device, sizeof(m.device), "%s", l->device) >= (int)sizeof(m.device))
                return -ENAMETOOLONG;
        snprintf(m.name, sizeof(m.name), "%.*s", (int)sizeof(m.name) - 1, l->name);
        return line_client_send(c, WIRE_LINE, &m);
}

/* The worker itself may not open a device. */
static int send_device(LineClient *c) {
        const Line *l = &c->cabinet->lines[c->line];
        _cleanup_close_ int opener = -1;
        WireId m = {0};

        if (l->kind != LINE_SERIAL)
                return 0;
        int r = opener_start(c->event, c->opener, l->device, &opener);
        return r < 0 ? r : wire_send_passing(supervisor_socket(c->worker), WIRE_DEVICE, &m, opener);
}

static int send_profile(LineClient *c, uint32_t index, const BoardProfile *p) {
        WireProfile m = {
                .index = index,
                .protocol = p->protocol,
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
        WireBoard m = {
                .board = (uint32_t)board,
                .profile = profile,
                .address = b->address,
                .outputs = cabinet_board_outputs(c->cabinet, board),
                .inputs = cabinet_board_inputs(c->cabinet, board),
                .input_bias = b->input_bias,
                .output_drive = b->output_drive,
                .read_back = b->read_back,
        };

        facts_describe(c->facts, board, &m);
        snprintf(m.name, sizeof(m.name), "%.*s", (int)sizeof(m.name) - 1, b->name);
        return line_client_send(c, WIRE_BOARD, &m);
}

static bool is_lamp(const Cabinet *c, int board, unsigned channel) {
        for (int i = 0; i < c->n_slots; i++)
                if (c->slots[i].lamp.board == board && c->slots[i].lamp.channel == channel)
                        return true;
        return false;
}

/* The lines behind a board's channels; a Modbus board has none. */
static int send_gpio(LineClient *c, int board, bool output, const GpioRef *refs, unsigned n) {
        WireGpio m = {.board = (uint32_t)board, .output = output};

        for (unsigned i = 0; i < n; i++) {
                WireGpioLine *l = &m.lines[m.n++];
                const char *name = refs[i].name ? refs[i].name : refs[i].chip;
                *l = (WireGpioLine){.offset = (uint16_t)refs[i].offset};
                if (name && snprintf(l->name, sizeof(l->name), "%s", name) >= (int)sizeof(l->name))
                        return -ENAMETOOLONG;
                if (name)
                        l->flags |= WIRE_GPIO_CONNECTED;
                if (refs[i].chip)
                        l->flags |= WIRE_GPIO_BY_CHIP;
                if (refs[i].active_low)
                        l->flags |= WIRE_GPIO_LOW;
                if (output && is_lamp(c->cabinet, board, i))
                        l->flags |= WIRE_GPIO_LAMP;
                if (m.n < WIRE_GPIO_MAX && i + 1 < n)
                        continue;
                int r = line_client_send(c, WIRE_GPIO, &m);
                if (r < 0)
                        return r;
                m.first += m.n;
                m.n = 0;
        }
        return 0;
}

static int send_attended(LineClient *c) {
        WireId m = {.id = c->attended};

        return line_client_send(c, WIRE_ATTEND, &m);
}

/* Only the profiles that this line's boards use, numbered from 0. */
static int send_setup(void *userdata) {
        LineClient *c = userdata;
        const Cabinet *k = c->cabinet;
        _cleanup_free_ int *number = calloc((size_t)MAX(k->n_profiles, 1), sizeof(*number));
        WireId start = {0};
        uint32_t n = 0;
        int r;

        if (!number)
                return -ENOMEM;
        r = send_line(c);
        if (r >= 0)
                r = send_device(c);
        for (int p = 0; p < k->n_profiles && r >= 0; p++) {
                number[p] = -1;
                for (int b = 0; b < k->n_boards && number[p] < 0; b++)
                        if (k->boards[b].line == c->line && k->boards[b].profile == p)
                                number[p] = (int)n++;
                if (number[p] >= 0)
                        r = send_profile(c, (uint32_t)number[p], &k->profiles[p]);
        }
        for (int b = 0; b < k->n_boards && r >= 0; b++)
                if (k->boards[b].line == c->line) {
                        r = send_board(c, b, (uint32_t)number[k->boards[b].profile]);
                        if (r >= 0)
                                r = send_gpio(c, b, true, k->boards[b].outputs, k->boards[b].n_outputs);
                        if (r >= 0)
                                r = send_gpio(c, b, false, k->boards[b].inputs, k->boards[b].n_inputs);
                }
        if (r >= 0)
                r = line_client_send(c, WIRE_START, &start);
        return r < 0 ? r : send_attended(c);
}

static bool paced(LineClient *c, bool state) {
        uint64_t now = clock_now().boot_usec;

        return bucket_take(&c->messages, &message_pace, now) &&
               (!state || bucket_take(&c->states, &state_pace, now));
}

static bool read_messages(void *userdata) {
        LineClient *c = userdata;
        WireMessage m;
        int r = 0, n = 0;

        while (n++ < AT_ONCE && (r = wire_receive(supervisor_socket(c->worker), &m)) > 0) {
                bool busy = m.header.type == WIRE_LINE_STATE && m.line_state.patience_ms;
                if (!paced(c, m.header.type == WIRE_LINE_STATE && !busy)) {
                        log_warning("The worker of line %s says too much", c->cabinet->lines[c->line].name);
                        return false;
                }
                supervisor_be_patient(c->worker, busy ? m.line_state.patience_ms : 0);
                if (m.header.type == WIRE_PONG)
                        supervisor_heard(c->worker);
                else if (!busy && !c->handlers->message(c->userdata, c->line, &m))
                        return false;
        }
        return r >= 0;
}

static int ping(void *userdata, uint64_t number) {
        WireId m = {.id = number};

        return line_client_send(userdata, WIRE_PING, &m);
}

static void gone(void *userdata, const char *sentence) {
        LineClient *c = userdata;

        c->handlers->gone(c->userdata, c->line, sentence);
}

static const SupervisorHandlers worker_handlers = {
        .started = send_setup,
        .readable = read_messages,
        .ping = ping,
        .gone = gone,
};

int line_client_new(LineClient **ret, sd_event *event, const Cabinet *cabinet, const Facts *facts, int line,
                    const char *worker_directory, const LineClientHandlers *handlers, void *userdata) {
        _cleanup_(line_client_freep) LineClient *c = calloc(1, sizeof(*c));
        const Line *l = &cabinet->lines[line];
        const char *program = worker_program(l->kind);

        if (!c)
                return -ENOMEM;
        if (!program)
                return -EOPNOTSUPP;
        *c = (LineClient){
                .event = sd_event_ref(event),
                .opener = text_printf("%s/lockerd-open", worker_directory),
                .cabinet = cabinet,
                .facts = facts,
                .line = line,
                .handlers = handlers,
                .userdata = userdata,
                .fields = {"LOCKERD_LINE", l->name, NULL},
        };
        _cleanup_free_ char *path = text_printf("%s/%s", worker_directory, program);
        _cleanup_free_ char *name = text_printf("The worker of line %s", l->name);
        if (!path || !name || !c->opener)
                return -ENOMEM;
        SupervisorOptions options = {
                .program = path,
                .argument = l->name,
                .name = name,
                .fields = c->fields,
                .unanswered = UNANSWERED,
                .first_pause = RESTART_FIRST,
                .max_pause = RESTART_MAX,
        };
        int r = supervisor_new(&c->worker, event, &options, &worker_handlers, c);
        if (r < 0)
                return r;
        *ret = steal_ptr(c);
        return 0;
}

void line_client_start(LineClient *c) {
        supervisor_start(c->worker);
}

bool line_client_is_running(const LineClient *c) {
        return supervisor_is_running(c->worker);
}

int line_client_send(LineClient *c, WireType type, void *message) {
        int fd = supervisor_socket(c->worker);

        return fd < 0 ? -ENOTCONN : wire_send(fd, type, message);
}

void line_client_attend(LineClient *c, bool attended) {
        c->attended = attended;
        if (line_client_is_running(c))
                (void)send_attended(c); /* a worker that cannot be told is replaced, and its successor is */
}

void line_client_stop(LineClient *c) {
        supervisor_stop(c->worker);
        supervisor_hang_up(c->worker);
}

void line_client_join(LineClient *c, uint64_t until) {
        /* One that still waits for a board to confirm its off is left to do so. */
        (void)supervisor_join(c->worker, until);
}

LineClient *line_client_free(LineClient *c) {
        if (!c)
                return NULL;
        supervisor_free(c->worker);
        sd_event_unref(c->event);
        free(c->opener);
        free(c);
        return NULL;
}
