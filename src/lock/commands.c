/* SPDX-License-Identifier: Apache-2.0 */
#include "lock/commands.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/protocol.h"

#include <errno.h>

#define COMMANDS_MAX 1024
/* How long a board that does not confirm the end of a pulse of ours may hold its supply: it is most likely
 * without power then, and the other locks of the supply must not wait for a repair. */
#define OFF_GRACE (10 * USEC_PER_SEC)
#define LATE_MOVE (10 * USEC_PER_SEC)  /* a lock that has been told to move may still do so then */
#define LOCK_REST (50 * USEC_PER_MSEC) /* between two pulses of one lock, whatever its supply carries */

static const BoardProfile *profile_of(const Locks *l, int board) {
        return &l->cabinet->profiles[l->cabinet->boards[board].profile];
}

static const Line *line_of(const Locks *l, int board) {
        return &l->cabinet->lines[l->cabinet->boards[board].line];
}

static SupplyState *supply_of(Locks *l, int board) {
        return &l->supplies[l->cabinet->boards[board].supply].state;
}

static Command *find_token(Locks *l, uint64_t token) {
        for (size_t i = 0; i < l->n_commands; i++)
                if (l->commands[i].token == token)
                        return &l->commands[i];
        return NULL;
}

static void forget(Locks *l, Command *c) {
        size_t i = (size_t)(c - l->commands);

        memmove(c, c + 1, (--l->n_commands - i) * sizeof(*c));
}

static void wake(Locks *l, uint64_t at) {
        (void)sd_event_source_set_time(l->timer, at);
        (void)sd_event_source_set_enabled(l->timer, at == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* The command leaves the list before anybody hears of it: whoever listens may queue the next one. */
static void finish(Locks *l, Command *c, LockResult result, uint64_t at) {
        uint64_t id = c->id;

        forget(l, c);
        l->handlers.result(l->userdata, id, result, at);
}

static bool can_be_sent(const Locks *l, const Command *c, bool *ret_hopeless) {
        *ret_hopeless = false;
        switch (l->boards[c->board].health) {
        case BOARD_STARTING:
                return false;
        case BOARD_ONLINE:
        case BOARD_STUCK:
        case BOARD_BLIND:
                break;
        case BOARD_OFFLINE:
                *ret_hopeless = !c->urgent;
                if (!c->urgent)
                        return false;
                break;
        case BOARD_CONFLICT:
        case BOARD_WRONG:
                *ret_hopeless = true;
                return false;
        }
        return line_client_is_running(l->lines[l->cabinet->boards[c->board].line]);
}

/* A board that times its pulses starts anew when it is told again: the lock would be on for two pulses. */
static bool is_pulsed(const Locks *l, const Command *c, uint64_t t) {
        for (size_t i = 0; i < l->n_commands; i++)
                if (l->commands[i].lock == c->lock && l->commands[i].state != COMMAND_QUEUED)
                        return true;
        return l->pulse_until[c->lock] > t;
}

/* From the last moment at which a command may be sent to the end of its pulse, as late as a board may say. */
static uint64_t longest_answer(const Locks *l, const Command *c) {
        unsigned ms = line_of(l, c->board)->response_timeout_ms + c->pulse_ms;

        if (protocol_of(profile_of(l, c->board)->protocol)->answers_after_pulse)
                ms += c->pulse_ms;
        return ms * USEC_PER_MSEC;
}

static bool try_send(Locks *l, Command *c, uint64_t t) {
        SupplyState *s = supply_of(l, c->board);
        uint64_t worst = c->expires + longest_answer(l, c);

        if (profile_of(l, c->board)->unlock == UNLOCK_PULSE)
                worst += OFF_GRACE;
        if (!supply_acquire(s, c->token, t, worst))
                return false;

        WireCommand m = {
                .id = c->token,
                .expires = c->expires,
                .board = (uint32_t)c->board,
                .coil = c->coil,
                .pulse_ms = c->pulse_ms,
                .urgent = c->urgent,
                .rest_ms = l->cabinet->supplies[l->cabinet->boards[c->board].supply].cooldown_ms,
        };
        if (line_client_send(l->lines[l->cabinet->boards[c->board].line], WIRE_COMMAND, &m) < 0) {
                supply_release(s, c->token, 0);
                return false; /* the supervision will notice */
        }
        c->worst_end = worst;
        c->state = COMMAND_SENT;
        return true;
}

/* One step for one command; true if something happened, after which the list may be another. */
static bool dispatch_one(Locks *l, bool urgent, uint64_t t) {
        for (size_t i = 0; i < l->n_commands; i++) {
                Command *c = &l->commands[i];
                bool hopeless;

                if (c->state == COMMAND_ENDING && c->worst_end <= t) {
                        log_warning("Board %s never confirmed the end of a pulse",
                                    l->cabinet->boards[c->board].name);
                        forget(l, c);
                        return true;
                }
                if (c->state != COMMAND_QUEUED || c->urgent != urgent)
                        continue;
                bool sendable = can_be_sent(l, c, &hopeless);
                if (hopeless || c->withdrawn || c->expires <= t) {
                        finish(l, c, LOCK_RESULT_NOT_SENT, t);
                        return true;
                }
                if (sendable && !is_pulsed(l, c, t) && try_send(l, c, t))
                        return true;
        }
        return false;
}

static void arm(Locks *l, uint64_t t) {
        uint64_t next = facts_next_deadline(l->facts);

        for (size_t i = 0; i < l->n_commands; i++) {
                const Command *c = &l->commands[i];
                if (c->state == COMMAND_QUEUED) {
                        next = MIN(next, MIN(c->expires, supply_next_change(supply_of(l, c->board), t)));
                        if (l->pulse_until[c->lock] > t)
                                next = MIN(next, l->pulse_until[c->lock]);
                } else if (c->state == COMMAND_ENDING)
                        next = MIN(next, c->worst_end);
        }
        wake(l, next);
}

void commands_dispatch(Locks *l) {
        uint64_t t = clock_now().boot_usec;

        for (int i = 0; i < l->cabinet->n_supplies; i++)
                supply_tick(&l->supplies[i].state, t);
        while (dispatch_one(l, true, t) || dispatch_one(l, false, t))
                ;
        arm(l, t);
}

void commands_start(Locks *l) {
        const Cabinet *c = l->cabinet;
        uint64_t t = clock_now().boot_usec;

        for (int s = 0; s < c->n_supplies; s++) {
                unsigned longest = 0;
                for (int b = 0; b < c->n_boards; b++)
                        if (c->boards[b].supply == s)
                                longest = MAX(longest, profile_of(l, b)->max_pulse_ms);
                /* A pulse of the run before may just have begun, and the supply rests after that one too. */
                supply_init(&l->supplies[s].state, c->supplies[s].max_active,
                            c->supplies[s].cooldown_ms * USEC_PER_MSEC,
                            t + (longest + c->supplies[s].cooldown_ms) * USEC_PER_MSEC);
        }
}

static void supply_look(Locks *l, int supply, uint64_t t) {
        LockSupply *s = &l->supplies[supply];

        for (int i = 0; i < l->cabinet->n_boards && !s->cleared; i++)
                if (l->cabinet->boards[i].supply == supply && !l->boards[i].all_off)
                        return;
        if (!s->cleared && s->state.n_active == 0)
                s->state.not_before = MIN(s->state.not_before, t + s->state.cooldown_usec);
        s->cleared = true;
}

void commands_board_is_off(Locks *l, int board, uint64_t t) {
        for (size_t i = l->n_commands; i-- > 0;)
                if (l->commands[i].board == board && l->commands[i].state == COMMAND_ENDING) {
                        supply_release(supply_of(l, board), l->commands[i].token, t);
                        forget(l, &l->commands[i]);
                }
        supply_look(l, l->cabinet->boards[board].supply, t);
}

void commands_sending(Locks *l, uint64_t token) {
        Command *c = find_token(l, token);

        if (c && c->state == COMMAND_SENT)
                c->state = COMMAND_SENDING;
}

void commands_result(Locks *l, const WireResult *m) {
        Command *c = find_token(l, m->id);

        if (!c || c->state == COMMAND_QUEUED || c->state == COMMAND_ENDING || m->result > LOCK_RESULT_REFUSED)
                return;
        if (m->result == LOCK_RESULT_NOT_SENT)
                supply_release(supply_of(l, c->board), c->token, 0);
        else if (m->over_at) {
                supply_release(supply_of(l, c->board), c->token, m->over_at);
                l->pulse_until[c->lock] = m->over_at + LOCK_REST;
        } else {
                c->state = COMMAND_ENDING;
                l->handlers.result(l->userdata, c->id, (LockResult)m->result, m->at);
                return;
        }
        finish(l, c, (LockResult)m->result, m->at);
}

void commands_over(Locks *l, const WireOver *m) {
        Command *c = find_token(l, m->id);

        if (!c || c->state != COMMAND_ENDING)
                return;
        supply_release(supply_of(l, c->board), c->token, m->at);
        l->pulse_until[c->lock] = m->at + LOCK_REST;
        forget(l, c);
}

/* What the dead worker had in hand: not sent if it never said that it would. */
static bool settle_one(Locks *l, int line, uint64_t t) {
        for (size_t i = 0; i < l->n_commands; i++) {
                Command *c = &l->commands[i];
                bool own = profile_of(l, c->board)->unlock == UNLOCK_PULSE;

                if (l->cabinet->boards[c->board].line != line)
                        continue;
                if (c->state == COMMAND_SENT) {
                        supply_release(supply_of(l, c->board), c->token, 0);
                        finish(l, c, LOCK_RESULT_NOT_SENT, t);
                        return true;
                }
                if (c->state != COMMAND_SENDING)
                        continue;
                if (own) { /* its coil may be on until the next worker has told the board all-off */
                        uint64_t id = c->id;
                        c->state = COMMAND_ENDING;
                        l->handlers.result(l->userdata, id, LOCK_RESULT_UNCERTAIN, t);
                } else {
                        uint64_t end = t + longest_answer(l, c);
                        supply_release(supply_of(l, c->board), c->token, end);
                        l->pulse_until[c->lock] = end + LOCK_REST;
                        finish(l, c, LOCK_RESULT_UNCERTAIN, t);
                }
                return true;
        }
        return false;
}

void commands_worker_gone(Locks *l, int line, uint64_t t) {
        while (settle_one(l, line, t))
                ;
}

/* Whoever waits at the door does not wait for the next turn of the event loop as well. Not past others that
 * wait for a supply. */
static void send_now(Locks *l, Command *c, uint64_t t) {
        bool hopeless;

        for (size_t i = 0; i < l->n_commands; i++)
                if (&l->commands[i] != c && l->commands[i].state == COMMAND_QUEUED)
                        return;
        supply_tick(supply_of(l, c->board), t);
        if (c->expires > t && can_be_sent(l, c, &hopeless) && !is_pulsed(l, c, t))
                (void)try_send(l, c, t);
}

void locks_expect(Locks *l, int lock) {
        WireId m = {0};
        int board = l->cabinet->locks[lock].board;

        /* Behind another pulse the command waits for much longer than a poll takes. */
        if (supply_of(l, board)->n_active == 0)
                (void)line_client_send(l->lines[l->cabinet->boards[board].line], WIRE_HOLD, &m);
}

int locks_command(Locks *l, uint64_t command, int lock, LockAction action, uint64_t expires, bool urgent) {
        const Lock *k;

        if (lock < 0 || lock >= l->cabinet->n_locks)
                return -EINVAL;
        k = &l->cabinet->locks[lock];
        if (action == LOCK_ACTION_SECURE && k->secure_coil < 0)
                return -EOPNOTSUPP;
        for (size_t i = 0; i < l->n_commands; i++)
                if (l->commands[i].id == command && l->commands[i].state != COMMAND_ENDING)
                        return -EEXIST;
        if (l->n_commands >= COMMANDS_MAX)
                return -EBUSY;
        Command *more = reallocarray(l->commands, l->n_commands + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        l->commands = more;
        uint64_t t = clock_now().boot_usec;
        facts_commanded(l->facts, lock, t, expires + k->release_ms * USEC_PER_MSEC + LATE_MOVE);
        l->commands[l->n_commands++] = (Command){
                .token = ++l->next_token,
                .id = command,
                .lock = lock,
                .board = k->board,
                .coil = action == LOCK_ACTION_SECURE ? (uint32_t)k->secure_coil : k->coil,
                .pulse_ms = MIN(k->pulse_ms, profile_of(l, k->board)->max_pulse_ms),
                .expires = expires,
                .urgent = urgent,
        };
        send_now(l, &l->commands[l->n_commands - 1], t);
        wake(l, 0);
        return 0;
}

void locks_withdraw(Locks *l, uint64_t command) {
        for (size_t i = 0; i < l->n_commands; i++) {
                Command *c = &l->commands[i];
                WireId m = {.id = c->token};

                if (c->id != command)
                        continue;
                if (c->state == COMMAND_QUEUED) {
                        c->withdrawn = true;
                        wake(l, 0);
                } else if (c->state == COMMAND_SENT || c->state == COMMAND_SENDING)
                        /* SENDING: its board may have refused it for now, and it waits for its second turn.
                         */
                        (void)line_client_send(l->lines[l->cabinet->boards[c->board].line], WIRE_WITHDRAW,
                                               &m);
        }
}
