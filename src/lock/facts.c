/* SPDX-License-Identifier: Apache-2.0 */
#include "lock/facts.h"
#include "core/chatter.h"
#include "core/pace.h"

#include <errno.h>

typedef struct Use {
        FactKind kind;
        int index;
        InputRef input;
        Tri value, raw;                  /* as told; as its board says */
        uint64_t at;                     /* of the raw value */
        uint64_t held_since, held_until; /* an opening that waits; 0: none */
        bool changed;
        Chatter chatter;
} Use;

typedef struct BoardInputs {
        bool fault;
        Tri level; /* what all of them read then; unknown: not the same, but no lock was shut */
        uint64_t mend_usec, mend_at, mended_at; /* mend_at: USEC_INFINITY: not now */
} BoardInputs;

struct Facts {
        const Cabinet *cabinet;
        FactsHandlers handlers;
        void *userdata;
        Use *uses; /* in the order in which changes are told */
        int n_uses;
        BoardInputs *boards;
        uint64_t *commanded_until; /* [n_locks] */
};

static int add_use(Facts *f, FactKind kind, int index, InputRef input) {
        if (input.board < 0)
                return 0;
        if (input.channel >= WIRE_CHANNELS)
                return -ERANGE;
        Use *u = &f->uses[f->n_uses++];
        *u = (Use){.kind = kind, .index = index, .input = input, .value = TRI_UNKNOWN, .raw = TRI_UNKNOWN};
        chatter_init(&u->chatter);
        return 0;
}

int facts_new(Facts **ret, const Cabinet *c, const FactsHandlers *handlers, void *userdata) {
        size_t most =
                2 * (size_t)c->n_locks + (size_t)c->n_positions + (size_t)c->n_slots + (size_t)c->n_alarms;
        _cleanup_(facts_freep) Facts *f = calloc(1, sizeof(*f));
        int r = 0;

        if (!f)
                return -ENOMEM;
        f->uses = calloc(MAX(most, (size_t)1), sizeof(*f->uses));
        f->boards = calloc((size_t)MAX(c->n_boards, 1), sizeof(*f->boards));
        f->commanded_until = calloc((size_t)MAX(c->n_locks, 1), sizeof(*f->commanded_until));
        if (!f->uses || !f->boards || !f->commanded_until)
                return -ENOMEM;
        f->cabinet = c;
        f->handlers = *handlers;
        f->userdata = userdata;
        for (int i = 0; i < c->n_boards; i++)
                f->boards[i].mend_at = USEC_INFINITY;
        for (int i = 0; i < c->n_locks && r >= 0; i++) {
                r = add_use(f, FACT_CONTACT, i, c->locks[i].contact);
                if (r >= 0)
                        r = add_use(f, FACT_LATCH, i, c->locks[i].latch);
        }
        for (int i = 0; i < c->n_positions && r >= 0; i++)
                r = add_use(f, FACT_PRESENCE, i, c->positions[i].presence);
        for (int i = 0; i < c->n_slots && r >= 0; i++)
                r = add_use(f, FACT_RELEASE, i, c->slots[i].release);
        for (int i = 0; i < c->n_alarms && r >= 0; i++)
                r = add_use(f, FACT_ALARM, i, c->alarms[i].input);
        if (r < 0)
                return r;
        *ret = steal_ptr(f);
        return 0;
}

Facts *facts_free(Facts *f) {
        if (!f)
                return NULL;
        free(f->uses);
        free(f->boards);
        free(f->commanded_until);
        free(f);
        return NULL;
}

static bool is_safety(FactKind kind) {
        return kind == FACT_RELEASE || kind == FACT_ALARM;
}

void facts_describe(const Facts *f, int board, WireBoard *m) {
        m->idle_poll_ms = f->cabinet->boards[board].idle_poll_ms;
        for (int i = 0; i < f->n_uses; i++) {
                const Use *u = &f->uses[i];
                unsigned byte = u->input.channel / 8;
                uint8_t bit = (uint8_t)(1u << u->input.channel % 8);

                if (u->input.board != board)
                        continue;
                m->inputs_used[byte] |= bit;
                m->debounce_ms[u->input.channel] = (uint16_t)u->input.debounce_ms;
                if (is_safety(u->kind))
                        m->idle_poll_ms = MIN(m->idle_poll_ms, PACE_SAFETY_MS);
                if (is_safety(u->kind) && u->input.active)
                        m->unrest_on[byte] |= bit;
                else if (is_safety(u->kind))
                        m->unrest_off[byte] |= bit;
        }
}

/* All values are in place before the first one is told: who hears one fact may ask for its neighbour. */
static void tell_changed(Facts *f) {
        int left = 0;

        for (int i = 0; i < f->n_uses; i++)
                left += f->uses[i].changed;
        for (int i = 0; i < f->n_uses; i++) {
                Use *u = &f->uses[i];
                if (!u->changed)
                        continue;
                u->changed = false;
                Fact fact = {u->kind, u->index, u->value, u->at};
                f->handlers.fact(f->userdata, &fact, --left > 0);
        }
}

static int slot_of(const Facts *f, const Use *u) {
        switch (u->kind) {
        case FACT_CONTACT:
        case FACT_LATCH:
                return f->cabinet->locks[u->index].slot;
        case FACT_PRESENCE:
                return f->cabinet->positions[u->index].slot;
        case FACT_RELEASE:
                return u->index;
        case FACT_ALARM:
                break;
        }
        return -1;
}

static bool is_door(const Use *u) {
        return u->kind == FACT_CONTACT || u->kind == FACT_LATCH;
}

/* What is believed of it now. */
static Tri settled(const Facts *f, const Use *u) {
        if (u->raw == TRI_UNKNOWN || is_safety(u->kind))
                return u->raw;
        if (f->boards[u->input.board].fault || !chatter_is_believed(&u->chatter))
                return TRI_UNKNOWN;
        return u->held_until > 0 ? u->value : u->raw;
}

static void settle(Facts *f) {
        for (int i = 0; i < f->n_uses; i++) {
                Use *u = &f->uses[i];
                Tri value = settled(f, u);
                u->changed = u->value != value;
                u->value = value;
        }
        tell_changed(f);
}

static void chatter(Facts *f, Use *u, ChatterEvent event, uint64_t at) {
        unsigned effects = chatter_happened(&u->chatter, event, at);

        if (!effects)
                return;
        FactChatter told = {.kind = u->kind,
                            .index = u->index,
                            .over = effects & CHATTER_ENDS,
                            .changes = u->chatter.changes,
                            .usec = at - u->chatter.since};
        f->handlers.chatter(f->userdata, &told);
}

static bool any_commanded(const Facts *f, uint64_t at) {
        for (int i = 0; i < f->cabinet->n_locks; i++)
                if (at < f->commanded_until[i])
                        return true;
        return false;
}

static void let_wait(Facts *f, Use *opening, uint64_t at) {
        uint64_t hold = any_commanded(f, at) ? FACTS_HOLD_BUSY_USEC : FACTS_HOLD_USEC;

        opening->held_since = at;
        opening->held_until = at + hold;
        for (int i = 0; i < f->n_uses; i++) {
                Use *u = &f->uses[i];
                if (u->held_until > 0 && u->input.board == opening->input.board)
                        u->held_until =
                                MAX(u->held_until, MIN(at + hold, u->held_since + FACTS_HOLD_MAX_USEC));
        }
}

static void take(Facts *f, Use *u, Tri raw, uint64_t at) {
        bool found = u->raw == TRI_UNKNOWN, fault = f->boards[u->input.board].fault;

        if (u->raw == raw)
                return;
        u->raw = raw;
        u->at = at;
        u->held_until = 0;
        if (found)
                chatter(f, u, CHATTER_FOUND, at);
        else if (!fault || is_safety(u->kind))
                chatter(f, u, CHATTER_CHANGE, at);
        if (is_door(u) && u->value == TRI_YES && raw == TRI_NO && !fault &&
            chatter_is_believed(&u->chatter) && at >= f->commanded_until[u->index])
                let_wait(f, u, at);
}

/* Have all inputs of the board gone the same way? Either each reads the same on its wire, which is the
 * level, or no lock is shut any more. */
static bool all_alike(const Facts *f, int board, const uint8_t bits[WIRE_CHANNELS / 8], Tri *ret_level) {
        bool on = false, off = false, shut = false;

        for (int i = 0; i < f->n_uses; i++) {
                const Use *u = &f->uses[i];
                if (u->input.board != board || is_safety(u->kind))
                        continue;
                if (wire_bit(bits, u->input.channel))
                        on = true;
                else
                        off = true;
                shut = shut || (is_door(u) && u->raw == TRI_YES);
        }
        *ret_level = on && off ? TRI_UNKNOWN : on ? TRI_YES : TRI_NO;
        return *ret_level != TRI_UNKNOWN || !shut;
}

static bool is_waiting(const Use *u) {
        return u->held_until > 0;
}

static bool reads_open(const Use *u) {
        return u->raw == TRI_NO;
}

/* Of this board, those of which a contact or latch is so. */
static int count_locks(const Facts *f, int board, bool (*is_so)(const Use *u)) {
        int n = 0, last = -1;

        for (int i = 0; i < f->n_uses; i++) {
                const Use *u = &f->uses[i];
                if (u->input.board != board || !is_door(u) || !is_so(u))
                        continue;
                n += u->index != last; /* those of one lock stand next to each other */
                last = u->index;
        }
        return n;
}

static void set_fault(Facts *f, int board, bool fault, uint64_t at) {
        BoardInputs *b = &f->boards[board];

        b->fault = fault;
        b->mend_at = USEC_INFINITY;
        if (fault) {
                bool soon = b->mend_usec > 0 && at < b->mended_at + CHATTER_FORGET_USEC;
                b->mend_usec = soon ? MIN(2 * b->mend_usec, FACTS_MEND_MAX_USEC) : FACTS_MEND_FIRST_USEC;
        } else
                b->mended_at = at;
        for (int i = 0; i < f->n_uses; i++)
                if (f->uses[i].input.board == board)
                        f->uses[i].held_until = 0;
        f->handlers.common(f->userdata, board, fault);
}

static bool has_spoken(const Facts *f, int board) {
        for (int i = 0; i < f->n_uses; i++)
                if (f->uses[i].input.board == board && f->uses[i].raw != TRI_UNKNOWN)
                        return true;
        return false;
}

/* first: nothing was known of its inputs before. A cabinet in which every door was opened while nobody
 * looked cannot be told from one whose inputs lost their common wire, or are wired the other way round. */
static void look_at_board(Facts *f, int board, const uint8_t bits[WIRE_CHANNELS / 8], bool first,
                          uint64_t at) {
        BoardInputs *b = &f->boards[board];
        Tri level;
        bool alike = all_alike(f, board, bits, &level);

        if (!b->fault) {
                if (!alike || count_locks(f, board, first ? reads_open : is_waiting) < FACTS_FAULT_LOCKS)
                        return;
                b->level = level;
                set_fault(f, board, true, at);
        } else if (b->level == TRI_UNKNOWN ? alike : level == b->level)
                b->mend_at = USEC_INFINITY;
        else if (b->mend_at == USEC_INFINITY)
                b->mend_at = at + b->mend_usec;
}

void facts_inputs(Facts *f, int board, const uint8_t bits[WIRE_CHANNELS / 8], uint64_t at) {
        bool first = !has_spoken(f, board);

        for (int i = 0; i < f->n_uses; i++) {
                Use *u = &f->uses[i];
                if (u->input.board == board)
                        take(f, u, wire_bit(bits, u->input.channel) == u->input.active ? TRI_YES : TRI_NO,
                             at);
        }
        look_at_board(f, board, bits, first, at);
        settle(f);
}

void facts_lost(Facts *f, int board, uint64_t at) {
        f->boards[board].fault = false;
        f->boards[board].mend_at = USEC_INFINITY;
        for (int i = 0; i < f->n_uses; i++) {
                Use *u = &f->uses[i];
                if (u->input.board != board || u->raw == TRI_UNKNOWN)
                        continue;
                u->raw = TRI_UNKNOWN;
                u->at = at;
                u->held_until = 0;
                chatter(f, u, CHATTER_LOST, at);
        }
        settle(f);
}

void facts_commanded(Facts *f, int lock, uint64_t at, uint64_t until) {
        int slot = f->cabinet->locks[lock].slot;

        f->commanded_until[lock] = MAX(f->commanded_until[lock], until);
        for (int i = 0; i < f->n_uses; i++)
                if (slot_of(f, &f->uses[i]) == slot)
                        chatter(f, &f->uses[i], CHATTER_COMMAND, at);
}

void facts_tick(Facts *f, uint64_t now) {
        for (int i = 0; i < f->cabinet->n_boards; i++)
                if (f->boards[i].mend_at <= now)
                        set_fault(f, i, false, now);
        for (int i = 0; i < f->n_uses; i++) {
                Use *u = &f->uses[i];
                if (u->held_until > 0 && u->held_until <= now)
                        u->held_until = 0;
                if (chatter_next_deadline(&u->chatter) <= now)
                        chatter(f, u, CHATTER_TIME, now);
        }
        settle(f);
}

uint64_t facts_next_deadline(const Facts *f) {
        uint64_t next = USEC_INFINITY;

        for (int i = 0; i < f->cabinet->n_boards; i++)
                next = MIN(next, f->boards[i].mend_at);
        for (int i = 0; i < f->n_uses; i++) {
                const Use *u = &f->uses[i];
                next = MIN(next, chatter_next_deadline(&u->chatter));
                if (u->held_until > 0)
                        next = MIN(next, u->held_until);
        }
        return next;
}

Tri facts_get(const Facts *f, FactKind kind, int index) {
        for (int i = 0; i < f->n_uses; i++)
                if (f->uses[i].kind == kind && f->uses[i].index == index)
                        return f->uses[i].value;
        return TRI_UNKNOWN;
}
