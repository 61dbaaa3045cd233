/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of lockerd-gpio: offs first, then what the daemon says, edges, and what is due. */
#include "gpio/worker.h"

#include <errno.h>

void worker_send(GpioWorker *w, WireType type, void *message) {
        worker_end_send(&w->end, w->line.name, type, message);
}

static bool start(GpioWorker *w) {
        size_t lines = 1;

        if (w->started || !setup_is_complete(w))
                return false;
        for (unsigned i = 0; i < w->n_boards; i++)
                lines += w->boards[i].setup.inputs;
        w->fds = calloc(lines, sizeof(*w->fds));
        w->started = w->fds != NULL;
        return w->started;
}

static void tell_line(GpioWorker *w) {
        WireLineState m = {.working = true, .sentence = "The GPIO chips of this computer"};

        worker_send(w, WIRE_LINE_STATE, &m);
}

static bool take_setup(GpioWorker *w, const WireMessage *m) {
        switch (m->header.type) {
        case WIRE_LINE:
                return setup_line(w, &m->line);
        case WIRE_PROFILE:
                return setup_profile(w, &m->profile);
        case WIRE_BOARD:
                return setup_board(w, &m->board);
        case WIRE_GPIO:
                return setup_gpio(w, &m->gpio);
        case WIRE_START:
                if (!start(w))
                        return false;
                tell_line(w);
                return true;
        default: /* a number from outside, not an enum of ours */
                return false;
        }
}

static bool take_message(void *userdata, const WireMessage *m) {
        GpioWorker *w = userdata;
        GpioBoard *b;

        switch (m->header.type) {
        case WIRE_COMMAND:
                if (w->started) {
                        boards_stir(w, worker_now());
                        output_command(w, &m->command);
                }
                return w->started;
        case WIRE_OUTPUT:
                if (w->started)
                        output_lamp(w, &m->output);
                return w->started;
        case WIRE_LOOK:
                b = worker_board(w, (uint32_t)m->id.id);
                if (b) {
                        b->look = true;
                        boards_stir(w, worker_now());
                }
                return b != NULL;
        case WIRE_ATTEND:
                boards_attend(w, m->id.id, worker_now());
                return true;
        case WIRE_HOLD:     /* nothing here takes long enough to be held back */
        case WIRE_WITHDRAW: /* a command is carried out when it comes */
                return true;
        default: /* a number from outside, not an enum of ours */
                return !w->started && take_setup(w, m);
        }
}

static void receive_messages(GpioWorker *w) {
        worker_end_receive(&w->end, w->line.name, take_message, w);
}

static unsigned collect_fds(GpioWorker *w) {
        unsigned n = 1;

        w->fds[0] = (struct pollfd){.fd = w->end.socket, .events = POLLIN};
        for (unsigned i = 0; i < w->n_boards; i++)
                for (unsigned k = 0; k < w->boards[i].n_banks; k++) {
                        const Bank *bank = w->boards[i].banks[k];
                        for (unsigned j = 0; bank->edges && j < bank->n; j++) {
                                int fd = gpio_bank_fd(bank->gpio, j);
                                bank->channels[j]->input.poll = 0;
                                if (fd < 0 || !input_wants_fd(bank, j))
                                        continue;
                                bank->channels[j]->input.poll = n;
                                w->fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
                        }
                }
        return n;
}

/* A bank may vanish while it is read; then the round is over, and what is left is ready again in the next. */
static void read_board(GpioWorker *w, GpioBoard *b) {
        for (unsigned k = 0; k < b->n_banks; k++) {
                Bank *bank = b->banks[k];
                unsigned banks = b->n_banks;
                for (unsigned j = 0; bank->edges && j < bank->n; j++) {
                        unsigned poll = bank->channels[j]->input.poll;
                        if (poll > 0 && w->fds[poll].revents)
                                input_read(w, b, bank, j);
                        if (b->n_banks != banks)
                                return;
                }
        }
}

static uint64_t next_due(const GpioWorker *w) {
        uint64_t next = output_next_due(w);

        for (unsigned i = 0; i < w->n_boards; i++) {
                const GpioBoard *b = &w->boards[i];
                next = MIN(next, MIN(b->due, input_next_due(b)));
                if (board_is_online(b))
                        next = MIN(next, b->look ? 0 : b->poll_due);
        }
        return next;
}

static void turn(GpioWorker *w) {
        output_step(w, worker_now());
        for (unsigned i = 0; i < w->n_boards && !w->end.leaving; i++)
                board_step(w, &w->boards[i], worker_now());
        if (w->end.leaving)
                return;

        unsigned n = collect_fds(w);
        int r = worker_poll(w->fds, n, next_due(w));
        if (r < 0 && r != -EINTR) {
                w->end.leaving = true;
                return;
        }
        output_step(w, worker_now());
        if (r > 0 && w->fds[0].revents)
                receive_messages(w);
        for (unsigned i = 0; r > 0 && i < w->n_boards && !w->end.leaving; i++)
                read_board(w, &w->boards[i]);
}

int worker_run(GpioWorker *w) {
        worker_end_hello(&w->end, w->line.name);
        while (!w->started && !w->end.leaving) {
                struct pollfd fd = {.fd = w->end.socket, .events = POLLIN};
                int r = worker_poll(&fd, 1, USEC_INFINITY);
                if (r < 0 && r != -EINTR)
                        return r;
                receive_messages(w);
        }
        while (!w->end.leaving)
                turn(w);
        output_leave(w);
        return 0;
}

void worker_clear(GpioWorker *w) {
        for (unsigned i = 0; i < w->n_boards; i++) {
                GpioBoard *b = &w->boards[i];
                while (b->n_banks > 0)
                        board_drop_bank(b, b->banks[b->n_banks - 1]);
                free(b->banks);
                free(b->outputs);
                free(b->inputs);
        }
        free(w->boards);
        free(w->profiles);
        free(w->fds);
}
