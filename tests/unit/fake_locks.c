/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_locks.h"

#include <stdlib.h>
#include <string.h>

#define COMMANDS_MAX 64
#define PULSE_USEC   (100 * USEC_PER_MSEC)

typedef struct Command {
        uint64_t number, expires, at; /* of its next stage */
        int lock;
        LockAction action;
        enum { WAITS, ANSWERS } stage;
        bool withdrawn;
        LockResult result;
        uint64_t done_at;
        uint64_t order; /* of what is due at the same moment */
} Command;

typedef struct Reading {
        Tri contact[32], latch[32], presence[32], release[32], alarm[8];
} Reading;

struct Locks {
        FakeWorld *world;
        const LocksHandlers *handlers;
        void *userdata;
        Command commands[COMMANDS_MAX];
        int n_commands;
        bool attended;
        BoardHealth health[8];
        uint64_t board_at[8]; /* when the line notices that it has come or gone */
        uint64_t read_at[8], tell_at[8];
        uint64_t taken_at[8]; /* when the reading that is being told was made */
        Reading taken[8];
        uint64_t seen[8];
        bool looked_for[8];
        unsigned changes[8]; /* of the world, when it was read */
        Reading believed;
};

static unsigned changes; /* of the world: one at a time is enough */

uint64_t fake_dice(FakeWorld *w, uint64_t n) {
        w->random ^= w->random << 13;
        w->random ^= w->random >> 7;
        w->random ^= w->random << 17;
        return (w->random >> 11) % n;
}

FakeWorld *fake_world_new(const Cabinet *c) {
        FakeWorld *w = calloc(1, sizeof(*w));

        if (!w)
                abort();
        *w = (FakeWorld){.cabinet = c,
                         .now = 1000 * USEC_PER_SEC,
                         .random = 1,
                         .locks = calloc((size_t)c->n_locks, sizeof(FakeLock)),
                         .occupied = calloc((size_t)c->n_positions, sizeof(bool)),
                         .sensor_wrong = calloc((size_t)c->n_positions, sizeof(bool)),
                         .pressed = calloc((size_t)c->n_slots, sizeof(bool)),
                         .alarm = calloc((size_t)c->n_alarms + 1, sizeof(bool)),
                         .silent = calloc((size_t)c->n_boards, sizeof(bool)),
                         .deaf = calloc((size_t)c->n_boards, sizeof(bool))};
        if (!w->locks || !w->occupied || !w->sensor_wrong || !w->pressed || !w->alarm || !w->silent ||
            !w->deaf || c->n_boards > 8 || c->n_locks > 32 || c->n_positions > 32 || c->n_slots > 32 ||
            c->n_alarms > 8)
                abort();
        for (int i = 0; i < c->n_locks; i++)
                w->locks[i] = (FakeLock){.shut = true, .bolted = true, .lets_go_at = USEC_INFINITY};
        return w;
}

void fake_world_free(FakeWorld *w) {
        if (!w)
                return;
        free(w->locks);
        free(w->occupied);
        free(w->sensor_wrong);
        free(w->pressed);
        free(w->alarm);
        free(w->silent);
        free(w->deaf);
        free(w);
}

void fake_changed(FakeWorld *w) {
        changes++;
}

bool fake_door_gives(const FakeWorld *w, int lock) {
        return !w->locks[lock].bolted || !w->locks[lock].shut;
}

static bool slot_open(const FakeWorld *w, int slot) {
        return !w->locks[w->cabinet->slots[slot].lock].shut;
}

bool fake_reachable(const FakeWorld *w, int position) {
        const Position *p = &w->cabinet->positions[position];

        return slot_open(w, p->slot) && (p->lock < 0 || !w->locks[p->lock].shut);
}

void fake_pull(FakeWorld *w, int lock) {
        const Lock *k = &w->cabinet->locks[lock];

        if (!fake_door_gives(w, lock) || (k->position >= 0 && !slot_open(w, k->slot)))
                return;
        if (w->locks[lock].shut)
                w->locks[lock].opened_at = w->now;
        w->locks[lock].shut = false;
        fake_changed(w);
}

void fake_push(FakeWorld *w, int lock) {
        const Lock *k = &w->cabinet->locks[lock];

        if (k->position >= 0 && !slot_open(w, k->slot))
                return;
        w->locks[lock].shut = true;
        if (k->kind == LOCK_LATCH && !w->locks[lock].worn)
                w->locks[lock].bolted = true;
        fake_changed(w);
}

static void let_go(FakeWorld *w, int lock) {
        FakeLock *k = &w->locks[lock];

        k->bolted = false;
        k->lets_go_at = USEC_INFINITY;
        /* A spring behind the door; a lid behind a shut door has nowhere to go. */
        if (w->cabinet->locks[lock].kind == LOCK_LATCH && !k->leaned &&
            (w->cabinet->locks[lock].position < 0 || slot_open(w, w->cabinet->locks[lock].slot))) {
                if (k->shut)
                        k->opened_at = w->now;
                k->shut = false;
        }
        fake_changed(w);
}

static void energise(FakeWorld *w, int lock, LockAction action) {
        FakeLock *k = &w->locks[lock];

        k->pulsed_at = w->now;
        if (action == LOCK_ACTION_SECURE) {
                if (k->shut && !k->worn)
                        k->bolted = true;
                fake_changed(w);
        } else if (k->jammed) {
                if (k->late)
                        k->lets_go_at = w->now + (1 + fake_dice(w, 9000)) * USEC_PER_MSEC;
        } else
                let_go(w, lock);
}

/* --- the daemon's side --- */

Locks *fake_locks_new(FakeWorld *w, const LocksHandlers *handlers, void *userdata) {
        Locks *l = calloc(1, sizeof(*l));

        if (!l)
                abort();
        l->world = w;
        l->handlers = handlers;
        l->userdata = userdata;
        memset(&l->believed, -1, sizeof(l->believed));
        for (size_t i = 0; i < sizeof(l->believed) / sizeof(Tri); i++)
                ((Tri *)&l->believed)[i] = TRI_UNKNOWN;
        for (int i = 0; i < w->cabinet->n_boards; i++) {
                l->health[i] = BOARD_STARTING;
                l->board_at[i] = w->now + (100 + fake_dice(w, 2000)) * USEC_PER_MSEC;
                l->tell_at[i] = l->read_at[i] = USEC_INFINITY;
        }
        return l;
}

static void touch(Locks *l, Command *c) {
        if (board_health_is_online(l->health[l->world->cabinet->locks[c->lock].board]))
                energise(l->world, c->lock, c->action);
}

void fake_locks_free(Locks *l) {
        if (!l)
                return;
        /* What was on its way to the wire when the daemon was killed may still be sent. */
        for (int i = 0; i < l->n_commands; i++)
                if (l->commands[i].stage == WAITS && !l->commands[i].withdrawn && fake_dice(l->world, 2) &&
                    !l->world->silent[l->world->cabinet->locks[l->commands[i].lock].board])
                        touch(l, &l->commands[i]);
        free(l);
}

Locks *locks_free(Locks *l) {
        fake_locks_free(l);
        return NULL;
}

void locks_expect(Locks *l, int lock) {
}

static uint64_t soon(Locks *l) {
        FakeWorld *w = l->world;

        switch (w->prompt ? 2 : fake_dice(w, 16)) {
        case 0:
                return w->now + (1 + fake_dice(w, 4000)) * USEC_PER_MSEC;
        case 1:
                return w->now;
        default:
                return w->now + (5 + fake_dice(w, 120)) * USEC_PER_MSEC;
        }
}

int locks_command(Locks *l, uint64_t number, int lock, LockAction action, uint64_t expires, bool urgent) {
        FakeWorld *w = l->world;

        w->commanded(w->userdata, lock, action, urgent);
        if (l->n_commands == COMMANDS_MAX)
                abort();
        l->commands[l->n_commands++] = (Command){.number = number,
                                                 .expires = expires,
                                                 .at = soon(l),
                                                 .lock = lock,
                                                 .action = action,
                                                 .stage = WAITS};
        return 0;
}

void locks_withdraw(Locks *l, uint64_t number) {
        for (int i = 0; i < l->n_commands; i++)
                if (l->commands[i].number == number && l->commands[i].stage == WAITS)
                        l->commands[i].withdrawn = true;
}

void locks_attend(Locks *l, bool attended) {
        l->attended = attended;
}

void locks_lamp(Locks *l, int slot, bool on) {
}

BoardHealth locks_board_health(const Locks *l, int board) {
        return l->health[board];
}

Tri locks_fact(const Locks *l, FactKind kind, int index) {
        switch (kind) {
        case FACT_CONTACT:
                return l->believed.contact[index];
        case FACT_LATCH:
                return l->believed.latch[index];
        case FACT_PRESENCE:
                return l->believed.presence[index];
        case FACT_RELEASE:
                return l->believed.release[index];
        case FACT_ALARM:
                return l->believed.alarm[index];
        }
        return TRI_UNKNOWN;
}

uint64_t locks_seen(const Locks *l, int lock) {
        const Lock *k = &l->world->cabinet->locks[lock];
        uint64_t at = USEC_INFINITY;

        if (k->contact.board >= 0)
                at = MIN(at, l->seen[k->contact.board]);
        if (k->latch.board >= 0)
                at = MIN(at, l->seen[k->latch.board]);
        return at == USEC_INFINITY ? 0 : at;
}

static void look_at_board(Locks *l, int board) {
        if (board < 0)
                return;
        l->looked_for[board] = true;
        if (board_health_is_online(l->health[board]))
                l->read_at[board] =
                        MIN(l->read_at[board], l->world->now + (5 + fake_dice(l->world, 60)) * USEC_PER_MSEC);
}

void locks_look(Locks *l, int lock) {
        look_at_board(l, l->world->cabinet->locks[lock].contact.board);
        look_at_board(l, l->world->cabinet->locks[lock].latch.board);
}

bool locks_ready(const Locks *l) {
        for (int i = 0; i < l->world->cabinet->n_boards; i++)
                if (l->health[i] == BOARD_STARTING)
                        return false;
        return true;
}

static Tri tri(bool yes) {
        return yes ? TRI_YES : TRI_NO;
}

static void read_board(Locks *l, int board) {
        const FakeWorld *w = l->world;
        const Cabinet *c = w->cabinet;
        Reading *r = &l->taken[board];

        *r = l->believed;
        for (int i = 0; i < c->n_locks; i++) {
                if (c->locks[i].contact.board == board)
                        r->contact[i] = tri(w->locks[i].shut);
                if (c->locks[i].latch.board == board)
                        r->latch[i] = tri(w->locks[i].bolted);
        }
        for (int i = 0; i < c->n_positions; i++)
                if (c->positions[i].presence.board == board)
                        r->presence[i] = tri(w->occupied[i] != w->sensor_wrong[i]);
        for (int i = 0; i < c->n_slots; i++)
                if (c->slots[i].release.board == board)
                        r->release[i] = tri(w->pressed[i]);
        for (int i = 0; i < c->n_alarms; i++)
                if (c->alarms[i].input.board == board)
                        r->alarm[i] = tri(w->alarm[i]);
        l->taken_at[board] = w->now;
        l->changes[board] = changes;
}

typedef struct Told {
        Fact facts[128];
        int n;
} Told;

static void take(Told *t, FactKind kind, int index, Tri *believed, Tri value, uint64_t at) {
        if (*believed == value)
                return;
        *believed = value;
        t->facts[t->n++] = (Fact){kind, index, value, at};
}

/* All values are in place before the first is told. lost: nobody knows any more. */
static void tell_board(Locks *l, int board, bool lost, uint64_t at) {
        const Cabinet *c = l->world->cabinet;
        Reading *b = &l->believed, r = l->taken[board];
        Told t = {.n = 0};

        for (int i = 0; i < c->n_locks; i++) {
                if (c->locks[i].contact.board == board)
                        take(&t, FACT_CONTACT, i, &b->contact[i], lost ? TRI_UNKNOWN : r.contact[i], at);
                if (c->locks[i].latch.board == board)
                        take(&t, FACT_LATCH, i, &b->latch[i], lost ? TRI_UNKNOWN : r.latch[i], at);
        }
        for (int i = 0; i < c->n_positions; i++)
                if (c->positions[i].presence.board == board)
                        take(&t, FACT_PRESENCE, i, &b->presence[i], lost ? TRI_UNKNOWN : r.presence[i], at);
        for (int i = 0; i < c->n_slots; i++)
                if (c->slots[i].release.board == board)
                        take(&t, FACT_RELEASE, i, &b->release[i], lost ? TRI_UNKNOWN : r.release[i], at);
        for (int i = 0; i < c->n_alarms; i++)
                if (c->alarms[i].input.board == board)
                        take(&t, FACT_ALARM, i, &b->alarm[i], lost ? TRI_UNKNOWN : r.alarm[i], at);
        for (int i = 0; i < t.n; i++)
                l->handlers->fact(l->userdata, &t.facts[i], i + 1 < t.n);
}

static uint64_t next_of_board(const Locks *l, int i) {
        const FakeWorld *w = l->world;
        bool online = board_health_is_online(l->health[i]);
        uint64_t at = MIN(l->tell_at[i], l->read_at[i]);

        if (l->health[i] == BOARD_STARTING || w->silent[i] == online)
                at = MIN(at, l->board_at[i] == USEC_INFINITY ? w->now : l->board_at[i]);
        if (online && l->changes[i] != changes && l->tell_at[i] == USEC_INFINITY &&
            l->read_at[i] == USEC_INFINITY)
                at = MIN(at, w->now);
        return at;
}

uint64_t fake_locks_next(const Locks *l) {
        uint64_t at = USEC_INFINITY;

        for (int i = 0; i < l->world->cabinet->n_boards; i++)
                at = MIN(at, next_of_board(l, i));
        for (int i = 0; i < l->n_commands; i++)
                at = MIN(at, l->commands[i].at);
        for (int i = 0; i < l->world->cabinet->n_locks; i++)
                at = MIN(at, l->world->locks[i].lets_go_at);
        return at;
}

static void set_board(Locks *l, int board, BoardHealth health) {
        l->board_at[board] = USEC_INFINITY;
        l->health[board] = health;
        l->read_at[board] = l->tell_at[board] = USEC_INFINITY;
        if (board_health_is_online(health))
                l->read_at[board] = l->world->now + fake_dice(l->world, 50) * USEC_PER_MSEC;
        else {
                l->seen[board] = 0;
                tell_board(l, board, true, l->world->now);
        }
        l->handlers->board(l->userdata, board, health, "fake");
}

static bool run_board(Locks *l, int i) {
        FakeWorld *w = l->world;
        bool online = board_health_is_online(l->health[i]);

        if (l->health[i] == BOARD_STARTING || w->silent[i] == online) {
                if (l->board_at[i] == USEC_INFINITY) {
                        l->board_at[i] = w->now + (50 + fake_dice(w, 1500)) * USEC_PER_MSEC;
                        return true;
                }
                if (l->board_at[i] <= w->now) {
                        set_board(l, i, w->silent[i] ? BOARD_OFFLINE : BOARD_ONLINE);
                        return true;
                }
        } else
                l->board_at[i] = USEC_INFINITY; /* a moment's silence that nobody noticed */
        if (w->silent[i])                       /* nothing comes from it, what it has said already does */
                l->read_at[i] = USEC_INFINITY;
        if (l->tell_at[i] <= w->now) {
                l->tell_at[i] = USEC_INFINITY;
                l->seen[i] = l->taken_at[i];
                tell_board(l, i, false, l->taken_at[i]);
                l->handlers->seen(l->userdata, i);
                return true;
        }
        if (l->read_at[i] <= w->now) {
                l->read_at[i] = USEC_INFINITY;
                if (l->tell_at[i] == USEC_INFINITY) {
                        read_board(l, i);
                        l->tell_at[i] = w->now + (fake_dice(w, 4) ? 0 : fake_dice(w, 80) * USEC_PER_MSEC);
                } else
                        l->read_at[i] = l->tell_at[i] + USEC_PER_MSEC;
                return true;
        }
        if (online && !w->silent[i] && l->changes[i] != changes && l->tell_at[i] == USEC_INFINITY &&
            l->read_at[i] == USEC_INFINITY) {
                l->read_at[i] = soon(l);
                return true;
        }
        if (online && w->silent[i])
                l->changes[i] = changes;
        return false;
}

static void send_command(Locks *l, Command *c) {
        FakeWorld *w = l->world;
        int board = w->cabinet->locks[c->lock].board;

        c->stage = ANSWERS;
        c->done_at = w->now;
        c->at = w->now;
        if (c->withdrawn || w->now >= c->expires || !board_health_is_online(l->health[board])) {
                c->result = LOCK_RESULT_NOT_SENT;
        } else if (w->silent[board]) {
                if (fake_dice(w, 2))
                        energise(w, c->lock, c->action);
                c->result = LOCK_RESULT_UNCERTAIN;
                c->done_at = c->at = w->now + 300 * USEC_PER_MSEC;
        } else if (w->deaf[board]) {
                c->result = LOCK_RESULT_REFUSED;
        } else {
                energise(w, c->lock, c->action);
                c->result = fake_dice(w, 20) ? LOCK_RESULT_PULSED : LOCK_RESULT_UNCERTAIN;
                c->done_at = w->now + PULSE_USEC;
                c->at = c->done_at + (fake_dice(w, 4) ? 0 : fake_dice(w, 600) * USEC_PER_MSEC);
        }
}

void fake_locks_run(Locks *l) {
        FakeWorld *w = l->world;
        int from = (int)fake_dice(w, 32);

        for (int i = 0; i < w->cabinet->n_locks; i++)
                if (w->locks[i].lets_go_at <= w->now) {
                        let_go(w, i);
                        return;
                }
        for (int i = 0; i < w->cabinet->n_boards; i++)
                if (fake_dice(w, 2) && run_board(l, (i + from) % w->cabinet->n_boards))
                        return;
        for (int i = 0; i < l->n_commands; i++) {
                Command *c = &l->commands[(i + from) % l->n_commands];
                if (c->at > w->now)
                        continue;
                if (c->stage == WAITS) {
                        send_command(l, c);
                        return;
                }
                Command done = *c;
                *c = l->commands[--l->n_commands];
                l->handlers->result(l->userdata, done.number, done.result, done.done_at);
                return;
        }
        for (int i = 0; i < w->cabinet->n_boards; i++)
                if (run_board(l, i))
                        return;
}
