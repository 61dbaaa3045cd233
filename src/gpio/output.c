/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs: pulses that end on time, lamps that stay, and whether a line is what it was set to. */
#include "gpio/worker.h"

#include <errno.h>

#define OFF_AGAIN   (50 * USEC_PER_MSEC)
#define GUARD_AFTER USEC_PER_SEC /* an off that is this late is not going to happen */
#define LEAVE_TRIES 20

static bool is_lamp(const Channel *c) {
        return c->line.flags & WIRE_GPIO_LAMP;
}

static bool level_of(const Channel *c, bool on) {
        return on != ((c->line.flags & WIRE_GPIO_LOW) != 0);
}

/* The next output of a lock after `at`, over all boards; NULL at the end. */
static Channel *next_pulse(const GpioWorker *w, unsigned *board, unsigned *channel) {
        for (; *board < w->n_boards; (*board)++, *channel = 0)
                while (*channel < w->boards[*board].setup.outputs) {
                        Channel *c = &w->boards[*board].outputs[(*channel)++];
                        if (c->bank && c->output.off_at)
                                return c;
                }
        return NULL;
}

static void send_result(GpioWorker *w, uint64_t id, LockResult result, uint64_t over_at) {
        WireResult m = {.id = id, .at = worker_now(), .over_at = over_at, .result = result};

        worker_send(w, WIRE_RESULT, &m);
}

static void send_over(GpioWorker *w, Output *o) {
        WireOver m = {.id = o->command, .at = worker_now()};

        o->off_at = 0;
        worker_send(w, WIRE_OVER, &m);
}

uint64_t output_next_due(const GpioWorker *w) {
        unsigned board = 0, channel = 0;
        uint64_t next = USEC_INFINITY;

        for (const Channel *c; (c = next_pulse(w, &board, &channel));)
                next = MIN(next, c->output.off_at);
        return next;
}

bool output_pulse_is_on(const GpioWorker *w) {
        unsigned board = 0, channel = 0;

        for (const Channel *c; (c = next_pulse(w, &board, &channel));)
                if (c->output.on)
                        return true;
        return false;
}

/* Only for offs that have not been tried yet: what fails is tried again, and told. */
static void guard(const GpioWorker *w) {
        unsigned board = 0, channel = 0;
        uint64_t last = 0;

        for (const Channel *c; (c = next_pulse(w, &board, &channel));)
                if (c->output.on)
                        last = MAX(last, c->output.off_at + GUARD_AFTER);
        worker_guard(last);
}

int output_apply(Bank *bank) {
        uint64_t levels = 0;

        for (unsigned i = 0; i < bank->n; i++)
                levels |= (uint64_t)level_of(bank->channels[i], bank->channels[i]->output.on) << i;
        return gpio_bank_set(bank->gpio, levels);
}

int output_start(const GpioBoard *b, Bank *bank) {
        uint64_t levels;
        int r;

        /* An open drain or source that does not drive reads what others make of the line. */
        bank->blind = !b->setup.read_back || b->setup.output_drive != GPIO_DRIVE_PUSH_PULL;
        if (bank->blind)
                return 0;
        r = gpio_bank_get(bank->gpio, &levels);
        if (r >= 0 || r == -ENODEV)
                return r;
        log_notice("Board %s: the outputs of %s cannot be read back: %s", b->setup.name, bank->chip,
                   strerror(-r));
        bank->blind = true;
        return 0;
}

int output_look(const GpioBoard *b, Bank *bank) {
        uint64_t levels;
        int r;

        if (bank->blind)
                return 0;
        r = gpio_bank_get(bank->gpio, &levels);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < bank->n; i++) {
                Channel *c = bank->channels[i];
                c->output.stuck = (levels >> i & 1) != level_of(c, c->output.on);
        }
        return 0;
}

bool output_is_stuck_on(const GpioBoard *b, const Channel **ret) {
        for (unsigned i = 0; i < b->setup.outputs; i++) {
                const Channel *c = &b->outputs[i];
                if (c->bank && c->output.stuck && !c->output.on && !is_lamp(c)) {
                        *ret = c;
                        return true;
                }
        }
        return false;
}

/* Tells what reading back has shown. A lamp that is not as it should be is nothing to stop for. */
static void tell_stuck(GpioWorker *w, GpioBoard *b, const Channel *c) {
        char what[80];

        channel_describe(b, c, what, sizeof(what));
        board_tell(w, b, BOARD_STUCK,
                   c->output.on
                           ? "Board %s: %s is switched on but reads off: a short, or somebody else drives it"
                           : "Board %s: %s is switched off but reads on: a short, or somebody else drives it",
                   b->setup.name, what);
}

static bool can_pulse(const GpioWorker *w, GpioBoard *b, const WireCommand *m, uint64_t now) {
        if (!b || m->coil >= b->setup.outputs || !m->pulse_ms || m->expires <= now)
                return false;
        const Channel *c = &b->outputs[m->coil];
        return c->wanted && c->bank && !is_lamp(c) && !c->output.off_at && board_is_online(b) &&
               !w->end.leaving;
}

void output_command(GpioWorker *w, const WireCommand *m) {
        GpioBoard *b = worker_board(w, m->board);
        WireId sending = {.id = m->id};

        /* A safety release does not wait for the next probe. */
        if (b && m->urgent && !board_is_online(b))
                board_probe(w, b, worker_now());
        if (!can_pulse(w, b, m, worker_now())) {
                send_result(w, m->id, LOCK_RESULT_NOT_SENT, worker_now());
                return;
        }
        Channel *c = &b->outputs[m->coil];
        Bank *bank = c->bank;
        worker_send(w, WIRE_SENDING, &sending);
        uint64_t on_at = worker_now();
        c->output = (Output){
                .on = true,
                .command = m->id,
                .off_at = on_at + MIN(m->pulse_ms, b->profile->max_pulse_ms) * USEC_PER_MSEC,
        };
        guard(w);
        int r = output_apply(bank);
        if (r >= 0) {
                r = output_look(b, bank);
                if (r >= 0 && c->output.stuck)
                        tell_stuck(w, b, c);
                send_result(w, m->id, r < 0 || c->output.stuck ? LOCK_RESULT_UNCERTAIN : LOCK_RESULT_PULSED,
                            0);
        } else {
                c->output.off_at = worker_now(); /* it may be on all the same */
                send_result(w, m->id, LOCK_RESULT_UNCERTAIN, 0);
        }
        if (r < 0)
                (void)board_bank_failed(w, b, bank, r);
}

void output_lamp(GpioWorker *w, const WireOutput *m) {
        GpioBoard *b = worker_board(w, m->board);

        if (!b || m->channel >= b->setup.outputs)
                return;
        Channel *c = &b->outputs[m->channel];
        if (!c->bank || !is_lamp(c) || c->output.on == (m->on != 0))
                return;
        c->output.on = m->on != 0;
        int r = output_apply(c->bank);
        if (r < 0)
                (void)board_bank_failed(w, b, c->bank, r);
}

/* True when the bank is still there. */
static bool end_pulse(GpioWorker *w, GpioBoard *b, Channel *c, uint64_t now) {
        Bank *bank = c->bank;
        bool was_on = c->output.on;

        c->output.on = false;
        c->output.off_at = now + OFF_AGAIN;
        int r = output_apply(bank);
        /* Not sooner: a call that hangs is what the guard is for. */
        if (was_on)
                guard(w);
        if (r >= 0)
                r = output_look(b, bank);
        if (r < 0)
                return !board_bank_failed(w, b, bank, r);
        if (c->output.stuck)
                tell_stuck(w, b, c); /* and again soon */
        else
                send_over(w, &c->output);
        return true;
}

void output_step(GpioWorker *w, uint64_t now) {
        for (unsigned i = 0; i < w->n_boards; i++) {
                GpioBoard *b = &w->boards[i];
                for (unsigned k = 0; k < b->setup.outputs; k++) {
                        Channel *c = &b->outputs[k];
                        if (c->bank && c->output.off_at && c->output.off_at <= now)
                                (void)end_pulse(w, b, c, now);
                }
        }
}

void output_forget(GpioWorker *w, Bank *bank, bool over) {
        for (unsigned i = 0; bank->output && i < bank->n; i++) {
                Output *o = &bank->channels[i]->output;
                if (o->off_at && over)
                        send_over(w, o);
                *o = (Output){0};
        }
        guard(w);
}

void output_leave(GpioWorker *w) {
        unsigned failed = 1;

        for (unsigned tries = 0; failed > 0 && tries < LEAVE_TRIES; tries++) {
                if (tries > 0)
                        (void)worker_poll(NULL, 0, worker_now() + OFF_AGAIN);
                failed = 0;
                for (unsigned i = 0; i < w->n_boards; i++)
                        for (unsigned k = 0; k < w->boards[i].n_banks; k++) {
                                Bank *bank = w->boards[i].banks[k];
                                for (unsigned j = 0; bank->output && j < bank->n; j++)
                                        bank->channels[j]->output.on = false;
                                int r = bank->output ? output_apply(bank) : 0;
                                failed += r < 0 && r != -ENODEV;
                        }
        }
        worker_guard(0);
}
