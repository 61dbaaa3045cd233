/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: in what order they go out, how a lock is energised, and that it is switched off again. */
#include "line/worker.h"

#define OFF_TRIES     3
#define OFF_BUSY      (20 * USEC_PER_MSEC)
#define BUSY_AGAIN    (100 * USEC_PER_MSEC)
#define OFF_EARLY     (2 * USEC_PER_MSEC)   /* rather a little short than a little long */
#define AFTER_PULSE   (300 * USEC_PER_MSEC) /* a board's own timing, before its coil counts as stuck */
#define OFF_AGAIN     (500 * USEC_PER_MSEC)
#define REOPEN_OFF    (50 * USEC_PER_MSEC)
#define LEAVE_AT_MOST (3 * USEC_PER_SEC)

typedef enum Readiness { COMMAND_READY, COMMAND_HELD, COMMAND_HOPELESS } Readiness;

static Unit *find_unit(Worker *w, uint32_t board) {
        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].board == board)
                        return &w->units[i];
        return NULL;
}

static void send_result_of(Worker *w, uint64_t id, LockResult result, uint64_t at, uint64_t over_at) {
        WireResult m = {.id = id, .at = at, .over_at = over_at, .result = result};

        worker_send(w, WIRE_RESULT, &m);
}

static void send_result(Worker *w, uint64_t id, LockResult result, uint64_t over_at) {
        send_result_of(w, id, result, worker_now(), over_at);
}

static void reject(Worker *w, uint64_t id) {
        send_result(w, id, LOCK_RESULT_NOT_SENT, worker_now());
}

/* It will not be sent any more. What was refused for now may have been done all the same: then it is not "not
 * sent", and the supply rests after it. */
static void give_back(Worker *w, uint64_t id, const Unit *u, LockResult refused) {
        if (u && u->refused_command == id && u->refused_over)
                send_result_of(w, id, refused, MIN(worker_now(), u->refused_over), u->refused_over);
        else if (u && u->refused_command == id && refused == LOCK_RESULT_REFUSED)
                send_result(w, id, refused, worker_now());
        else
                reject(w, id);
}

static void remove_command(Worker *w, unsigned i) {
        memmove(&w->commands[i], &w->commands[i + 1], (--w->n_commands - i) * sizeof(w->commands[0]));
}

void command_queue(Worker *w, const WireCommand *c) {
        Unit *u = find_unit(w, c->board);

        if (!u || c->coil >= u->profile->outputs || w->n_commands == COMMANDS_MAX)
                reject(w, c->id);
        else
                w->commands[w->n_commands++] = *c;
}

void command_withdraw(Worker *w, uint64_t id) {
        if (id == w->sending) {
                w->sending_withdrawn = true; /* too late, unless nothing has gone out when its turn ends */
                return;
        }
        for (unsigned i = 0; i < w->n_commands; i++)
                if (w->commands[i].id == id) {
                        const Unit *u = find_unit(w, w->commands[i].board);
                        remove_command(w, i);
                        give_back(w, id, u, LOCK_RESULT_UNCERTAIN);
                        return;
                }
}

static unsigned pulse_ms(const Unit *u, const WireCommand *c) {
        return MIN(c->pulse_ms, u->profile->max_pulse_ms);
}

static Request command_request(const Unit *u, const WireCommand *c) {
        Request q;

        u->driver->energise(u->profile, u->address, c->coil, pulse_ms(u, c), &q);
        return q;
}

/* Boot µs from which the answers to this command can be believed: for a pulse of ours that of the off, too.
 */
static uint64_t believable_from(const Unit *u, const WireCommand *c) {
        Request on = command_request(u, c), off;
        uint64_t until = doubts_until(&u->doubts, &on);

        return u->profile->unlock == UNLOCK_PULSE && unit_off_request(u, c->coil, &off)
                       ? MAX(until, doubts_until(&u->doubts, &off))
                       : until;
}

static Readiness readiness(Worker *w, const Unit *u, const WireCommand *c, uint64_t now,
                           uint64_t *ret_until) {
        if (c->expires <= now || u->phase == PHASE_DISTRUST)
                return COMMAND_HOPELESS;
        if (u->phase == PHASE_OFFLINE && !c->urgent)
                return COMMAND_HOPELESS;
        *ret_until = c->expires;
        if (!port_is_open(&w->port) || identify_is_under_way(u) || u->off_pending)
                return COMMAND_HELD;
        if (u->refused_until > now) {
                *ret_until = MIN(u->refused_until, c->expires);
                return COMMAND_HELD;
        }
        uint64_t until = believable_from(u, c);
        if (until > now && !c->urgent) {
                *ret_until = MIN(until, c->expires);
                return COMMAND_HELD;
        }
        return COMMAND_READY;
}

uint64_t command_next_due(Worker *w, uint64_t now) {
        uint64_t next = USEC_INFINITY, until = 0;

        for (unsigned i = 0; i < w->n_commands; i++) {
                const WireCommand *c = &w->commands[i];
                Readiness r = readiness(w, find_unit(w, c->board), c, now, &until);
                next = MIN(next, r == COMMAND_HELD ? until : now);
        }
        return next;
}

void command_off(Worker *w, Unit *u) {
        Exchange x;
        Request q;

        if (!unit_off_request(u, u->off_coil, &q))
                return;
        if (!port_is_open(&w->port)) {
                /* Before leaving, and on TCP where a lost answer costs the connection, nobody else reopens in
                 * time. */
                if (!w->end.leaving && w->line.kind == LINE_SERIAL)
                        return;
                if (line_open(w) < 0) {
                        (void)worker_wait(w, -1, worker_now() + REOPEN_OFF);
                        return;
                }
        }
        /* No doubt holds this back: the echo of any off since the on will do, and none is older than the on.
         */
        unit_ask(w, u, &q, &x);
        switch (x.outcome) {
        case EXCHANGE_GOOD: {
                WireOver m = {.id = u->off_command, .at = x.at};
                u->off_pending = false;
                if (u->off_command)
                        worker_send(w, WIRE_OVER, &m);
                break;
        }
        case EXCHANGE_EXCEPTION:
                if (unit_refusal_passes(u, &x)) {
                        (void)worker_wait(w, -1, worker_now() + OFF_BUSY);
                        break;
                }
                if (u->health != BOARD_STUCK)
                        unit_report(w, u, BOARD_STUCK, "Board %s refuses to switch coil %u off", u->name,
                                    u->off_coil + 1);
                u->due = x.at + OFF_AGAIN;
                break;
        case EXCHANGE_TIMEOUT:
        case EXCHANGE_DAMAGED:
        case EXCHANGE_BROKEN:
                break;
        }
}

static LockResult result_of(const Unit *u, const Exchange *x, bool believable) {
        bool done;

        switch (x->outcome) {
        case EXCHANGE_GOOD:
                return believable ? LOCK_RESULT_PULSED : LOCK_RESULT_UNCERTAIN;
        case EXCHANGE_EXCEPTION:
                return u->driver->is_passing && u->driver->is_passing(x->exception, &done) && done
                               ? LOCK_RESULT_UNCERTAIN
                               : LOCK_RESULT_REFUSED;
        case EXCHANGE_TIMEOUT:
        case EXCHANGE_DAMAGED:
        case EXCHANGE_BROKEN:
                return LOCK_RESULT_UNCERTAIN;
        }
        return LOCK_RESULT_UNCERTAIN;
}

/* The board ends the pulse. */
static void finish_board_pulse(Worker *w, Unit *u, const WireCommand *c, const Exchange *x,
                               LockResult result) {
        uint64_t over_at = x->at;

        if (result != LOCK_RESULT_REFUSED) {
                /* An unanswered question may have been understood when the answer was given up, not later. */
                over_at += pulse_ms(u, c) * USEC_PER_MSEC;
                u->pulse_until = MAX(u->pulse_until, over_at + AFTER_PULSE);
                u->coils_due = u->pulse_until;
        }
        send_result(w, c->id, result, over_at);
        /* What the lock does now is what everybody waits for; but an offline board is greeted with all-off,
         * which must not cut this pulse short. */
        if (u->phase == PHASE_ONLINE)
                u->due = 0;
        else
                u->due = MAX(u->due, u->pulse_until);
}

/* We end the pulse, and nothing else is done on this line meanwhile. */
static void finish_own_pulse(Worker *w, Unit *u, const WireCommand *c, const Exchange *x, LockResult result) {
        uint64_t length = pulse_ms(u, c) * USEC_PER_MSEC;
        uint64_t off_at = x->sent_at + length - MIN(length, OFF_EARLY);

        if (result == LOCK_RESULT_REFUSED) {
                u->off_pending = false;
                send_result(w, c->id, result, x->at);
                return;
        }
        send_result(w, c->id, result, 0);
        while (!w->end.leaving && worker_now() < off_at)
                if (worker_wait(w, -1, off_at) < 0)
                        break;
        for (unsigned i = 0; i < OFF_TRIES && u->off_pending; i++)
                command_off(w, u);
        u->pulse_until = worker_now();
        u->coils_due = u->pulse_until;
        if (u->off_pending && u->phase == PHASE_ONLINE && u->health != BOARD_STUCK)
                unit_offline(w, u);
        else if (u->phase == PHASE_ONLINE && !u->off_pending)
                u->due = 0;
}

/* A refusal that may pass: the command stays where it is until the board can, or its life is over. What may
 * have been done all the same is waited out, so that the lock is not on for two pulses; a pulse of ours is
 * ended. */
static bool asked_again(Worker *w, Unit *u, const WireCommand *c, const Exchange *x) {
        uint64_t over_at = 0;
        bool done;

        if (x->outcome != EXCHANGE_EXCEPTION || !u->driver->is_passing ||
            !u->driver->is_passing(x->exception, &done))
                return false;
        if (done && !u->off_pending)
                over_at = x->at + pulse_ms(u, c) * USEC_PER_MSEC;
        else if (done) {
                u->off_command = 0; /* nobody has heard of this pulse */
                for (unsigned i = 0; i < OFF_TRIES && u->off_pending; i++)
                        command_off(w, u);
                u->off_command = c->id;
                if (u->off_pending)
                        return false;
                over_at = worker_now();
        }
        u->off_pending = false;
        if (u->refused_command != c->id)
                u->refused_over = 0;
        u->refused_command = c->id;
        u->refused_over = MAX(u->refused_over, over_at);
        u->refused_until = MAX(x->at + BUSY_AGAIN, over_at ? over_at + c->rest_ms * USEC_PER_MSEC : 0);
        return true;
}

static void run(Worker *w, Unit *u, unsigned i) {
        WireCommand c = w->commands[i];
        bool own = u->profile->unlock == UNLOCK_PULSE, believable = believable_from(u, &c) <= worker_now();
        ExchangeLimits limits = {.send_before = c.expires,
                                 .wait_at_most = own ? pulse_ms(u, &c) * USEC_PER_MSEC : USEC_INFINITY};
        Request q = command_request(u, &c);
        WireId sending = {.id = c.id};
        Exchange x;

        worker_send(w, WIRE_SENDING, &sending);
        u->all_off = false;
        if (own) { /* before the first byte: whatever happens now, the off is owed */
                u->off_pending = true;
                u->off_coil = c.coil;
                u->off_command = c.id;
        }
        w->sending = c.id;
        w->sending_withdrawn = false;
        unit_ask_within(w, u, &q, limits, &x);
        w->sending = 0;
        if (!x.sent) {
                /* The line was not quiet or broke before a byte went out: tried again until it expires. */
                u->off_pending = false;
                if (w->sending_withdrawn)
                        command_withdraw(w, c.id);
                return;
        }
        if (asked_again(w, u, &c, &x)) {
                if (w->sending_withdrawn)
                        command_withdraw(w, c.id);
                return;
        }
        /* Only the socket may have added to the queue meanwhile, or withdrawn from it. */
        for (i = 0; i < w->n_commands; i++)
                if (w->commands[i].id == c.id) {
                        remove_command(w, i);
                        break;
                }
        LockResult result = result_of(u, &x, believable);
        if (own)
                finish_own_pulse(w, u, &c, &x, result);
        else
                finish_board_pulse(w, u, &c, &x, result);
}

bool command_run_next(Worker *w) {
        for (int urgent = 1; urgent >= 0; urgent--)
                for (unsigned i = 0; i < w->n_commands;) {
                        const WireCommand *c = &w->commands[i];
                        Unit *u = find_unit(w, c->board);
                        uint64_t until;

                        if (!c->urgent != !urgent) {
                                i++;
                                continue;
                        }
                        switch (readiness(w, u, c, worker_now(), &until)) {
                        case COMMAND_HOPELESS: {
                                uint64_t id = c->id;
                                remove_command(w, i);
                                give_back(w, id, u, LOCK_RESULT_REFUSED);
                                break;
                        }
                        case COMMAND_HELD:
                                i++;
                                break;
                        case COMMAND_READY:
                                run(w, u, i);
                                return true;
                        }
                }
        return false;
}

static void leave_unit(Worker *w, Unit *u, uint64_t deadline) {
        const WireProfile *p = u->profile;
        Exchange x;
        Request q;

        while (u->off_pending && worker_now() < deadline)
                command_off(w, u);
        if (u->health == BOARD_OFFLINE && u->phase == PHASE_OFFLINE)
                return;
        for (unsigned i = 0; port_is_open(&w->port) && worker_now() < deadline; i++) {
                if (!unit_all_off_request(u, i, &q))
                        return;
                unit_ask(w, u, &q, &x);
                if (x.outcome != EXCHANGE_GOOD && p->all_off == ALL_OFF_EACH)
                        return;
        }
}

void command_switch_everything_off(Worker *w) {
        uint64_t deadline = worker_now() + LEAVE_AT_MOST;

        /* First the coils that are known to be on. */
        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].off_pending)
                        leave_unit(w, &w->units[i], deadline);
        for (unsigned i = 0; i < w->n_units; i++)
                leave_unit(w, &w->units[i], deadline);
}
