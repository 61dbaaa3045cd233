/* SPDX-License-Identifier: Apache-2.0 */
#include "lock/facts.h"

#include <errno.h>

typedef struct Use {
        FactKind kind;
        int index;
        InputRef input;
        Tri value;
        bool changed;
} Use;

struct Facts {
        Use *uses; /* in the order in which changes are told */
        int n_uses;
};

static int add_use(Facts *f, FactKind kind, int index, InputRef input) {
        if (input.board < 0)
                return 0;
        if (input.channel >= WIRE_CHANNELS)
                return -ERANGE;
        f->uses[f->n_uses++] = (Use){kind, index, input, TRI_UNKNOWN, false};
        return 0;
}

int facts_new(Facts **ret, const Cabinet *c) {
        size_t most =
                2 * (size_t)c->n_locks + (size_t)c->n_positions + (size_t)c->n_slots + (size_t)c->n_alarms;
        _cleanup_(facts_freep) Facts *f = calloc(1, sizeof(*f));
        int r = 0;

        if (!f)
                return -ENOMEM;
        f->uses = calloc(MAX(most, (size_t)1), sizeof(*f->uses));
        if (!f->uses)
                return -ENOMEM;
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
        free(f);
        return NULL;
}

static bool is_safety(FactKind kind) {
        return kind == FACT_RELEASE || kind == FACT_ALARM;
}

void facts_describe(const Facts *f, int board, WireBoard *m) {
        for (int i = 0; i < f->n_uses; i++) {
                const Use *u = &f->uses[i];
                unsigned byte = u->input.channel / 8;
                uint8_t bit = (uint8_t)(1u << u->input.channel % 8);

                if (u->input.board != board)
                        continue;
                m->inputs_used[byte] |= bit;
                m->debounce_ms[u->input.channel] = (uint16_t)u->input.debounce_ms;
                if (is_safety(u->kind) && u->input.active)
                        m->unrest_on[byte] |= bit;
                else if (is_safety(u->kind))
                        m->unrest_off[byte] |= bit;
        }
}

/* All values are in place before the first one is told: who hears one fact may ask for its neighbour. */
static void tell_changed(Facts *f, uint64_t at, FactsTell tell, void *userdata) {
        int left = 0;

        for (int i = 0; i < f->n_uses; i++)
                left += f->uses[i].changed;
        for (int i = 0; i < f->n_uses; i++) {
                Use *u = &f->uses[i];
                if (!u->changed)
                        continue;
                u->changed = false;
                Fact fact = {u->kind, u->index, u->value, at};
                tell(userdata, &fact, --left > 0);
        }
}

static void set(Use *u, Tri value) {
        u->changed = u->value != value;
        u->value = value;
}

void facts_inputs(Facts *f, int board, const uint8_t bits[WIRE_CHANNELS / 8], uint64_t at, FactsTell tell,
                  void *userdata) {
        for (int i = 0; i < f->n_uses; i++) {
                Use *u = &f->uses[i];
                if (u->input.board == board)
                        set(u, wire_bit(bits, u->input.channel) == u->input.active ? TRI_YES : TRI_NO);
        }
        tell_changed(f, at, tell, userdata);
}

void facts_lost(Facts *f, int board, uint64_t at, FactsTell tell, void *userdata) {
        for (int i = 0; i < f->n_uses; i++)
                if (f->uses[i].input.board == board)
                        set(&f->uses[i], TRI_UNKNOWN);
        tell_changed(f, at, tell, userdata);
}

Tri facts_get(const Facts *f, FactKind kind, int index) {
        for (int i = 0; i < f->n_uses; i++)
                if (f->uses[i].kind == kind && f->uses[i].index == index)
                        return f->uses[i].value;
        return TRI_UNKNOWN;
}
