/* SPDX-License-Identifier: Apache-2.0 */
/* Boards that work: inputs read in the round, changes confirmed, coils looked at now and then. */
#include "line/worker.h"

#define POLL_SHORTEST  (10 * USEC_PER_MSEC) /* a fast line need not keep a processor busy */
#define POLL_NO_INPUTS USEC_PER_SEC
#define COILS_INTERVAL (30 * USEC_PER_SEC)
#define COILS_AGAIN    (100 * USEC_PER_MSEC)
#define COILS_STUCK    (2 * USEC_PER_SEC)

void poll_look(Worker *w, uint64_t board) {
        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].board == board) {
                        w->units[i].looked_for = worker_now();
                        w->units[i].looked = false;
                }
}

static void tell_inputs(Worker *w, Unit *u, const Exchange *x) {
        WireInputs m = {.at = x->at, .board = u->board};

        memcpy(m.bits, u->believed, sizeof(m.bits));
        if (x->sent_at >= u->looked_for)
                u->looked_for = USEC_INFINITY;
        worker_send(w, WIRE_INPUTS, &m);
}

/* Two good answers that agree make a value: one alone may be a shifted or an unluckily damaged one. */
static void take_inputs(Worker *w, Unit *u, const Exchange *x) {
        uint8_t bits[WIRE_CHANNELS / 8] = {0};

        for (size_t i = 0; i < MIN(x->n_data, sizeof(bits)); i++)
                bits[i] = x->data[i] & u->used[i];
        if (u->believed_known && memcmp(bits, u->believed, sizeof(bits)) == 0) {
                u->candidate_known = false;
                if (x->sent_at < u->looked_for)
                        return;
                if (u->looked)
                        tell_inputs(w, u, x);
                else
                        u->looked = true;
                return;
        }
        u->looked = false;
        if (!u->candidate_known || memcmp(bits, u->candidate, sizeof(bits)) != 0) {
                memcpy(u->candidate, bits, sizeof(bits));
                u->candidate_known = true;
                return;
        }
        memcpy(u->believed, bits, sizeof(bits));
        u->believed_known = true;
        u->candidate_known = false;
        tell_inputs(w, u, x);
}

static void switch_off_coil(Worker *w, Unit *u, unsigned coil) {
        const WireProfile *p = u->profile;
        Exchange x;
        Request q;

        if (p->all_off == ALL_OFF_NONE)
                return; /* a board that times its pulses may take an off for another trigger */
        q = p->all_off == ALL_OFF_COIL ? unit_write_request(u, p->all_off_address, p->all_off_value)
                                       : unit_write_request(u, p->coil_base + coil, p->off_value);
        unit_ask(w, u, &q, &x); /* whether it helped is read back */
}

static void take_coils(Worker *w, Unit *u, const Exchange *x) {
        unsigned coil = 0;

        while (coil < u->profile->outputs && coil < 8 * x->n_data && !wire_bit(x->data, coil))
                coil++;
        if (coil >= u->profile->outputs || coil >= 8 * x->n_data || x->sent_at < u->pulse_until) {
                u->coil_seen_on = false;
                u->coils_due = x->at + worker_jitter(w, COILS_INTERVAL);
                if (x->sent_at < u->pulse_until)
                        u->coils_due = u->pulse_until;
                else if (u->health == BOARD_STUCK)
                        unit_report(w, u, BOARD_ONLINE, "Board %s works; its coils are off again", u->name);
                return;
        }
        if (!u->coil_seen_on) {
                u->coil_seen_on = true;
                u->coils_due = x->at + COILS_AGAIN;
                return;
        }
        if (u->health != BOARD_STUCK)
                unit_report(w, u, BOARD_STUCK, "Board %s: coil %u is on without a command", u->name,
                            coil + 1);
        u->coils_due = x->at + COILS_STUCK;
        switch_off_coil(w, u, coil);
}

static bool choose_read(Worker *w, Unit *u, uint64_t now, Request *ret, bool *ret_coils) {
        Request inputs, coils, spacer;
        bool has_inputs = unit_input_request(u, &inputs), has_coils = unit_coil_request(u, &coils);
        bool has_spacer = unit_spacer_request(u, &spacer);

        *ret_coils = false;
        if (has_coils && u->coils_due <= now && doubts_until(&u->doubts, &coils) <= now) {
                *ret = coils;
                *ret_coils = true;
                return true;
        }
        if (!has_inputs) {
                *ret_coils = has_coils;
                return unit_alive_request(u, ret);
        }
        /* A line that has lost its step shows at once when every second answer must look different; and a
         * board whose inputs cannot be believed yet shows whether it lives. */
        if (has_spacer && doubts_until(&u->doubts, &spacer) <= now &&
            ((w->suspicious > 0 && !u->spaced) ||
             (doubts_until(&u->doubts, &inputs) > now && u->misses > 0))) {
                *ret = spacer;
                *ret_coils = has_coils && spacer.function == coils.function && spacer.value == coils.value;
                return true;
        }
        *ret = inputs;
        return true;
}

static void take_answer(Worker *w, Unit *u, const Request *q, const Exchange *x, bool coils) {
        Request inputs;

        if (coils) {
                take_coils(w, u, x);
                u->spaced = true;
        } else if (unit_input_request(u, &inputs) && q->function == inputs.function &&
                   q->value == inputs.value) {
                u->spaced = false;
                take_inputs(w, u, x);
        } else
                u->spaced = true;
}

void poll_step(Worker *w, Unit *u) {
        uint64_t now = worker_now();
        bool coils, has_inputs;
        Exchange x;
        Request q;

        if (u->off_pending) {
                command_off(w, u);
                if (unit_is_gone(u))
                        unit_offline(w, u);
                return;
        }
        has_inputs = unit_input_request(u, &q);
        if (!choose_read(w, u, now, &q, &coils)) {
                u->due = USEC_INFINITY; /* nothing can be read from it */
                return;
        }
        if (unit_must_wait(u, &q, now))
                return;
        u->again = false;
        u->due = now + (has_inputs ? POLL_SHORTEST : POLL_NO_INPUTS);
        unit_ask(w, u, &q, &x);
        switch (x.outcome) {
        case EXCHANGE_GOOD:
                take_answer(w, u, &q, &x, coils);
                /* A read of the other shape in between does not lose the place. */
                u->again = u->candidate_known || u->looked_for != USEC_INFINITY;
                if (u->again)
                        u->due = 0;
                break;
        case EXCHANGE_EXCEPTION:
                unit_distrust(w, u, BOARD_WRONG, "refuses the reads of its profile");
                break;
        case EXCHANGE_TIMEOUT:
        case EXCHANGE_DAMAGED:
                if (unit_is_gone(u))
                        unit_offline(w, u);
                break;
        case EXCHANGE_BROKEN:
                break;
        }
}
