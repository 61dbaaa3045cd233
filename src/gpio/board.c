/* SPDX-License-Identifier: Apache-2.0 */
/* Boards: taken when their lines are there, looked at now and then, given up when a chip has gone. */
#include "gpio/worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define BACKOFF_FIRST  (100 * USEC_PER_MSEC)
#define BACKOFF_MAX    (4 * USEC_PER_SEC)
#define CHECK_INTERVAL USEC_PER_SEC
#define ERRORS_MAX     3 /* of a bank in a row; a port expander on a bus may stumble */

bool board_is_online(const GpioBoard *b) {
        return board_health_is_online(b->health);
}

static void tell(GpioWorker *w, GpioBoard *b, BoardHealth health, bool all_off, const char *sentence) {
        WireBoardState m = {.board = b->setup.board, .health = health, .all_off = all_off};

        if (b->health == health && streq(b->sentence, sentence))
                return;
        b->health = health;
        snprintf(b->sentence, sizeof(b->sentence), "%s", sentence);
        snprintf(m.sentence, sizeof(m.sentence), "%s", sentence);
        worker_send(w, WIRE_BOARD_STATE, &m);
}

void board_tell(GpioWorker *w, GpioBoard *b, BoardHealth health, const char *format, ...) {
        char sentence[WIRE_SENTENCE];
        va_list ap;

        va_start(ap, format);
        vsnprintf(sentence, sizeof(sentence), format, ap);
        va_end(ap);
        tell(w, b, health, false, sentence);
}

static void retry_later(GpioBoard *b, uint64_t now) {
        b->backoff = b->backoff ? MIN(2 * b->backoff, BACKOFF_MAX) : BACKOFF_FIRST;
        b->due = now + b->backoff;
}

static void drop_chip(GpioWorker *w, GpioBoard *b, const char *chip) {
        for (unsigned i = b->n_banks; i-- > 0;)
                if (streq(b->banks[i]->chip, chip)) {
                        output_forget(w, b->banks[i], true);
                        board_drop_bank(b, b->banks[i]);
                }
}

bool board_bank_failed(GpioWorker *w, GpioBoard *b, Bank *bank, int error) {
        char chip[GPIO_NAME], label[GPIO_NAME];

        if (error != -ENODEV && ++bank->errors < ERRORS_MAX)
                return false;
        memcpy(chip, bank->chip, sizeof(chip));
        memcpy(label, bank->label, sizeof(label));
        if (error == -ENODEV)
                drop_chip(w, b, chip);
        else {
                output_forget(w, bank, false);
                board_drop_bank(b, bank);
        }
        if (error == -ENODEV)
                board_tell(w, b, BOARD_OFFLINE, "Board %s: the GPIO chip %s (%s) is gone", b->setup.name,
                           chip, label);
        else
                board_tell(w, b, BOARD_OFFLINE, "Board %s: the GPIO chip %s (%s) fails: %s", b->setup.name,
                           chip, label, strerror(-error));
        b->backoff = 0;
        retry_later(b, worker_now());
        return true;
}

/* One look at everything that is held. False when something was lost meanwhile. */
static bool look(GpioWorker *w, GpioBoard *b, uint64_t now) {
        for (unsigned i = 0; i < b->n_banks; i++) {
                Bank *bank = b->banks[i];
                int r = bank->output ? output_look(b, bank) : input_look(w, b, bank, now);
                if (r < 0 && board_bank_failed(w, b, bank, r))
                        return false;
                if (r >= 0)
                        bank->errors = 0;
        }
        return true;
}

static bool has_pulse(const GpioBoard *b) {
        for (unsigned i = 0; i < b->setup.outputs; i++)
                if (b->outputs[i].bank && b->outputs[i].output.off_at)
                        return true;
        return false;
}

/* After a look: is a lock energised that should not be? */
static void judge(GpioWorker *w, GpioBoard *b) {
        const Channel *c;
        char sentence[WIRE_SENTENCE], what[80];

        if (output_is_stuck_on(b, &c)) {
                channel_describe(b, c, what, sizeof(what));
                board_tell(w, b, BOARD_STUCK,
                           "Board %s: %s is switched off but reads on: a short, or somebody else drives it",
                           b->setup.name, what);
                (void)output_apply(c->bank);
                return;
        }
        snprintf(sentence, sizeof(sentence), "Board %s works", b->setup.name);
        tell(w, b, BOARD_ONLINE, !has_pulse(b), sentence);
}

void board_probe(GpioWorker *w, GpioBoard *b, uint64_t now) {
        Trouble trouble;

        board_take_lines(w, b, &trouble);
        if (trouble.health == BOARD_ONLINE && !look(w, b, now))
                return;
        if (trouble.health != BOARD_ONLINE) {
                tell(w, b, trouble.health, false, trouble.sentence);
                retry_later(b, now);
                return;
        }
        b->backoff = 0;
        b->due = now + CHECK_INTERVAL;
        b->poll_due = now + PACE_FAST_USEC;
        judge(w, b);
        board_tell_inputs(w, b, now);
}

void boards_stir(GpioWorker *w, uint64_t now) {
        pace_stir(&w->pace, now);
        for (unsigned i = 0; i < w->n_boards; i++)
                if (w->boards[i].resting) {
                        w->boards[i].poll_due = MIN(w->boards[i].poll_due, now);
                        w->boards[i].resting = false;
                }
}

void boards_attend(GpioWorker *w, bool attended, uint64_t now) {
        pace_attend(&w->pace, attended, now);
        if (attended)
                boards_stir(w, now);
}

static void plan_poll(const GpioWorker *w, GpioBoard *b, bool any, uint64_t now) {
        bool doubt = !input_is_at_rest(b) || has_pulse(b);

        for (unsigned i = 0; i < b->n_banks; i++)
                doubt = doubt || b->banks[i]->errors > 0;

        b->resting = any && !pace_is_fast(&w->pace, doubt, now);
        b->poll_due = any ? pace_next(&w->pace, b->setup.idle_poll_ms, doubt, now, now) : USEC_INFINITY;
}

/* Inputs that tell no edges. */
static void poll_inputs(GpioWorker *w, GpioBoard *b, uint64_t now) {
        bool any = false;

        for (unsigned i = 0; i < b->n_banks; i++) {
                Bank *bank = b->banks[i];
                if (bank->output || bank->edges)
                        continue;
                any = true;
                int r = input_look(w, b, bank, now);
                if (r < 0 && board_bank_failed(w, b, bank, r))
                        return;
                if (r >= 0)
                        bank->errors = 0;
        }
        plan_poll(w, b, any, now);
}

void board_step(GpioWorker *w, GpioBoard *b, uint64_t now) {
        input_step(w, b, now);
        if (board_is_online(b) && b->poll_due <= now)
                poll_inputs(w, b, now);
        if (b->look && board_is_online(b)) {
                b->look = false;
                if (look(w, b, now))
                        board_tell_inputs(w, b, now);
        }
        if (b->due > now)
                return;
        /* Looking for lines takes a while; a pulse that is on must end on time. */
        if (output_pulse_is_on(w)) {
                b->due = MAX(output_next_due(w), now) + 1;
                return;
        }
        if (!board_is_online(b)) {
                board_probe(w, b, now);
                return;
        }
        b->due = now + CHECK_INTERVAL;
        if (look(w, b, now))
                judge(w, b);
}
