/* SPDX-License-Identifier: Apache-2.0 */
/* Boards that work: inputs read in the round, changes confirmed, coils looked at now and then. */
#include "line/worker.h"

#define POLL_NO_INPUTS USEC_PER_SEC
#define COILS_INTERVAL (30 * USEC_PER_SEC)
#define COILS_AGAIN    (100 * USEC_PER_MSEC)
#define COILS_STUCK    (2 * USEC_PER_SEC)

static bool has_part(const Unit *u, unsigned part, Request *ret) {
        return u->driver->status(u->profile, u->address, part, ret);
}

/* Is anything that this part tells of use? Parts differ in one request only, so that a response is not
 * needed. */
static bool part_is_used(const Unit *u, unsigned part) {
        uint8_t bits[WIRE_CHANNELS / 8] = {0}, mask[WIRE_CHANNELS / 8] = {0},
                                     nothing[WIRE_CHANNELS / 8] = {0};
        Answer a = {.data = nothing};
        Request q;

        if (!has_part(u, part, &q))
                return false;
        u->driver->values(u->profile, &q, &a, bits, mask);
        for (size_t i = 0; i < sizeof(mask); i++)
                if (mask[i] & u->inputs.used[i])
                        return true;
        return part == 0; /* shows that the board lives, if nothing else */
}

static bool is_looking(const Unit *u) {
        return u->looked_for != USEC_INFINITY;
}

/* The next part that is of use; while somebody waits for a look, the next that has not been looked at. */
static unsigned following_part(const Unit *u) {
        unsigned part = u->part;
        Request q;

        do
                part = has_part(u, part + 1, &q) ? part + 1 : 0;
        while (part != u->part && !(is_looking(u) ? wire_bit(u->look_parts, part) : part_is_used(u, part)));
        return part;
}

static void next_part(Unit *u) {
        unsigned part = following_part(u);

        u->round_over = u->round_over || part <= u->part;
        u->part = part;
        u->unsettled = false;
        u->looked = 0;
}

static void look(Unit *u, uint64_t now) {
        memset(u->look_parts, 0, sizeof(u->look_parts));
        for (unsigned part = 0; part < WIRE_CHANNELS; part++)
                if (part_is_used(u, part))
                        u->look_parts[part / 8] |= (uint8_t)(1u << part % 8);
        u->looked_for = now;
        u->looked = 0;
}

void poll_attend(Worker *w, bool attended) {
        pace_attend(&w->pace, attended, worker_now());
        if (attended)
                poll_stir(w);
}

void poll_look(Worker *w, uint64_t board) {
        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].board == board)
                        look(&w->units[i], worker_now());
        poll_stir(w);
}

/* This part has been looked at; true when all have. */
static bool part_looked_at(Unit *u) {
        bool left = false;

        u->look_parts[u->part / 8] &= (uint8_t) ~(1u << u->part % 8);
        for (size_t i = 0; i < sizeof(u->look_parts); i++)
                left = left || u->look_parts[i];
        if (!left)
                u->looked_for = USEC_INFINITY;
        return !left;
}

void poll_wake(Worker *w) {
        uint64_t now = worker_now();

        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].phase == PHASE_ONLINE && w->units[i].resting) {
                        w->units[i].due = MIN(w->units[i].due, now);
                        w->units[i].resting = false;
                }
}

void poll_stir(Worker *w) {
        pace_stir(&w->pace, worker_now());
        poll_wake(w);
}

static void tell_inputs(Worker *w, Unit *u, const Exchange *x) {
        WireInputs m = {.at = x->at, .board = u->board};

        poll_stir(w); /* what moves is seldom alone */
        memcpy(m.bits, u->inputs.believed, sizeof(m.bits));
        worker_send(w, WIRE_INPUTS, &m);
}

/* What was believed already was read once more. What is only waiting for its debounce time delays no look:
 * the sensors that a look is for have none, or one that they have rested for. */
static void confirm_inputs(Worker *w, Unit *u, const Exchange *x) {
        if (!is_looking(u)) {
                next_part(u);
                return;
        }
        if (x->sent_at < u->looked_for || ++u->looked < u->driver->agreeing)
                return;
        if (part_looked_at(u))
                tell_inputs(w, u, x);
        next_part(u);
}

static void take_inputs(Worker *w, Unit *u, const Request *q, const Exchange *x) {
        uint8_t bits[WIRE_CHANNELS / 8] = {0}, mask[WIRE_CHANNELS / 8] = {0};
        Answer a = {.data = x->data, .n_data = x->n_data};

        u->driver->values(u->profile, q, &a, bits, mask);
        unsigned taken = inputs_take(&u->inputs, bits, mask, u->driver->agreeing, x->at);
        u->unsettled = taken & INPUTS_UNSETTLED;
        if (u->unsettled)
                u->looked = 0;
        if (!taken) {
                confirm_inputs(w, u, x);
                return;
        }
        if (!(taken & INPUTS_CHANGED))
                return;
        if (is_looking(u) && !u->unsettled && x->sent_at >= u->looked_for)
                (void)part_looked_at(u);
        if (inputs_are_known(&u->inputs))
                tell_inputs(w, u, x);
        if (!u->unsettled)
                next_part(u);
}

static void switch_off_coil(Worker *w, Unit *u, unsigned coil) {
        const WireProfile *p = u->profile;
        Exchange x;
        Request q;

        if (p->all_off == ALL_OFF_NONE)
                return; /* a board that times its pulses may take an off for another trigger */
        if (p->all_off == ALL_OFF_COIL ? !unit_all_off_request(u, 0, &q) : !unit_off_request(u, coil, &q))
                return;
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

/* A part whose responses cannot be believed yet does not hold up the others. */
static void skip_doubtful_part(Unit *u, uint64_t now) {
        unsigned first = u->part;
        Request q;

        while (unit_status_request(u, &q) && doubts_until(&u->doubts, &q) > now && following_part(u) != first)
                next_part(u);
}

static bool choose_read(Worker *w, Unit *u, uint64_t now, Request *ret, bool *ret_coils) {
        Request inputs, coils, spacer;

        skip_doubtful_part(u, now);
        bool has_inputs = unit_status_request(u, &inputs), has_coils = unit_coil_request(u, &coils);
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
                *ret_coils = has_coils && request_equal(&spacer, &coils);
                return true;
        }
        *ret = inputs;
        return true;
}

static bool is_inputs_request(const Unit *u, const Request *q) {
        Request inputs;

        return unit_status_request(u, &inputs) && request_equal(q, &inputs);
}

static void take_answer(Worker *w, Unit *u, const Request *q, const Exchange *x, bool coils) {
        if (coils) {
                take_coils(w, u, x);
                u->spaced = true;
        } else if (is_inputs_request(u, q)) {
                u->spaced = false;
                take_inputs(w, u, q, x);
        } else
                u->spaced = true;
}

/* Nothing of this board may wait until somebody comes. */
static bool is_in_doubt(const Unit *u, uint64_t now) {
        return !u->round_over || u->misses > 0 || u->unsettled || is_looking(u) || u->off_pending ||
               u->coil_seen_on || now < u->pulse_until || !inputs_are_known(&u->inputs) ||
               !inputs_are_settled(&u->inputs);
}

/* On a line that may have lost its step, the read of another shape that comes before the next of the inputs.
 */
static bool owes_spacer(const Worker *w, const Unit *u, uint64_t now) {
        Request spacer;

        return w->suspicious > 0 && !u->spaced && unit_spacer_request(u, &spacer) &&
               doubts_until(&u->doubts, &spacer) <= now;
}

/* At rest a board is read to the end once it is its turn, and reads of another shape come after that of the
 * inputs: when they are due again they are asked for at once. */
static bool goes_on(const Worker *w, const Unit *u, uint64_t now) {
        if (pace_is_fast(&w->pace, false, now))
                return false;
        return !u->round_over || now >= u->round_at + u->idle_ms * USEC_PER_MSEC || owes_spacer(w, u, now);
}

/* A good response to a request made at `asked`. */
static void plan_next(Worker *w, Unit *u, bool has_inputs, uint64_t asked) {
        uint64_t now = worker_now();
        bool doubt = is_in_doubt(u, now);

        u->due = asked + POLL_NO_INPUTS;
        if (!has_inputs)
                return;
        /* A read of the other shape in between does not lose the place. */
        u->again = u->unsettled || is_looking(u) || goes_on(w, u, now);
        u->due = 0;
        if (u->again)
                return;
        /* What has been at rest for its debounce time does not wait for all the other boards. */
        u->again = !inputs_are_settled(&u->inputs);
        u->resting = !pace_is_fast(&w->pace, doubt, now);
        u->due = MIN(pace_next(&w->pace, u->idle_ms, doubt, u->resting ? u->round_at : asked, now),
                     inputs_rest_at(&u->inputs));
}

void poll_step(Worker *w, Unit *u) {
        uint64_t now = worker_now();
        bool coils, has_inputs;
        ExchangeLimits limits = EXCHANGE_UNLIMITED;
        Exchange x;
        Request q;

        /* What may be stale was said before; and any change is confirmed by a response that was waited for.
         */
        if (u->resting && w->suspicious == 0)
                limits.latency = u->latency;
        u->resting = false;
        if (u->off_pending) {
                command_off(w, u);
                if (unit_is_gone(u))
                        unit_offline(w, u);
                return;
        }
        has_inputs = unit_status_request(u, &q);
        if (!choose_read(w, u, now, &q, &coils)) {
                u->due = USEC_INFINITY; /* nothing can be read from it */
                return;
        }
        if (unit_must_wait(u, &q, now))
                return;
        u->again = false;
        u->due = now + (has_inputs ? PACE_FAST_USEC : POLL_NO_INPUTS);
        if (u->round_over && is_inputs_request(u, &q)) {
                u->round_at = now;
                u->round_over = false;
        }
        unit_ask_within(w, u, &q, limits, &x);
        switch (x.outcome) {
        case EXCHANGE_GOOD:
                if (x.first_at > 0)
                        u->latency = x.first_at - x.sent_at;
                take_answer(w, u, &q, &x, coils);
                plan_next(w, u, has_inputs, now);
                break;
        case EXCHANGE_EXCEPTION:
                if (!unit_refusal_passes(u, &x))
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
