/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chatter.h"
#include "base/macros.h"

typedef enum When {
        ALWAYS,
        ROOM, /* fewer changes than are too many, this one included */
        FULL,
} When;

enum {
        COUNT = 1 << 8,   /* one more change */
        EMPTY = 1 << 9,   /* forget the changes */
        REST = 1 << 10,   /* it has to rest from now on */
        LONGER = 1 << 11, /* … for how long: see chatter.h */
        WAIT = 1 << 12,   /* nobody knows whether it rests */
};

/* The first row that holds counts; what has none changes nothing. */
static const struct {
        ChatterState state;
        ChatterEvent event;
        When when;
        ChatterState next;
        unsigned effects;
} rows[] = {
        {CHATTER_BELIEVED, CHATTER_CHANGE, ROOM, CHATTER_BELIEVED, COUNT},
        {CHATTER_BELIEVED, CHATTER_CHANGE, FULL, CHATTER_HELD, COUNT | LONGER | REST | CHATTER_BEGINS},
        {CHATTER_BELIEVED, CHATTER_COMMAND, ALWAYS, CHATTER_BELIEVED, EMPTY},
        {CHATTER_HELD, CHATTER_CHANGE, ALWAYS, CHATTER_HELD, COUNT | REST},
        {CHATTER_HELD, CHATTER_LOST, ALWAYS, CHATTER_ASTRAY, WAIT},
        {CHATTER_HELD, CHATTER_TIME, ALWAYS, CHATTER_BELIEVED, EMPTY | WAIT | CHATTER_ENDS},
        {CHATTER_ASTRAY, CHATTER_FOUND, ALWAYS, CHATTER_HELD, REST},
};

static const char *const names[CHATTER_STATE_MAX] = {
        [CHATTER_BELIEVED] = "believed",
        [CHATTER_HELD] = "held",
        [CHATTER_ASTRAY] = "astray",
};

const char *chatter_state_to_string(ChatterState s) {
        return (unsigned)s < CHATTER_STATE_MAX ? names[s] : "invalid";
}

void chatter_init(Chatter *c) {
        *c = (Chatter){.rest_at = USEC_INFINITY};
}

bool chatter_is_believed(const Chatter *c) {
        return c->state == CHATTER_BELIEVED;
}

uint64_t chatter_next_deadline(const Chatter *c) {
        return c->rest_at;
}

/* Time empties. */
static void drain(Chatter *c, uint64_t now) {
        uint64_t gone = (now - c->level_at) / CHATTER_EACH_USEC;

        if (c->state != CHATTER_BELIEVED || gone == 0)
                return;
        c->level = gone < c->level ? c->level - (unsigned)gone : 0;
        c->level_at += gone * CHATTER_EACH_USEC;
}

static bool holds(const Chatter *c, When when) {
        bool full = c->level >= CHATTER_CHANGES;

        return when == ALWAYS || (when == FULL) == full;
}

static void carry_out(Chatter *c, unsigned effects, uint64_t now) {
        if (effects & COUNT) {
                if (c->level == 0) {
                        c->since = c->level_at = now;
                        c->changes = 0;
                }
                c->level = MIN(c->level + 1, (unsigned)CHATTER_CHANGES);
                c->changes++;
        }
        if (effects & LONGER) {
                bool soon = c->rest_usec > 0 && now < c->believed_at + CHATTER_FORGET_USEC;
                c->rest_usec = soon ? MIN(2 * c->rest_usec, CHATTER_REST_MAX) : CHATTER_REST_FIRST;
        }
        if (effects & REST)
                c->rest_at = now + c->rest_usec;
        if (effects & WAIT)
                c->rest_at = USEC_INFINITY;
        if (effects & EMPTY)
                c->level = 0;
        if (effects & CHATTER_ENDS)
                c->believed_at = now;
}

unsigned chatter_happened(Chatter *c, ChatterEvent event, uint64_t now) {
        drain(c, now);
        if (event == CHATTER_TIME && now < c->rest_at)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                if (rows[i].state != c->state || rows[i].event != event || !holds(c, rows[i].when))
                        continue;
                c->state = rows[i].next;
                carry_out(c, rows[i].effects, now);
                return rows[i].effects & (CHATTER_BEGINS | CHATTER_ENDS);
        }
        return 0;
}
