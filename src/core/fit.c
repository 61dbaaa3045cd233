/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fit.h"

bool fit_is_free(const PositionFacts *f) {
        if (!f->in_service || f->taken || f->held || f->tried || f->inner_unlocked || !f->board_online)
                return false;
        /* A sensor that does not respond agrees with no ledger state. */
        return f->occupied == TRI_NO || (f->occupied == TRI_UNKNOWN && !f->has_presence);
}

static const Slot *slot_of(const Cabinet *c, int position) {
        return &c->slots[c->positions[position].slot];
}

static unsigned ordinal_of(const Cabinet *c, int position) {
        return c->sizes[slot_of(c, position)->size].ordinal;
}

static bool fits(const Cabinet *c, int position, const FitRequest *request) {
        const Slot *slot = slot_of(c, position);
        unsigned ordinal = ordinal_of(c, position);

        if (slot->temperature != request->temperature || (request->accessible && !slot->accessible))
                return false;
        return request->allow_larger ? ordinal >= request->min_ordinal : ordinal == request->min_ordinal;
}

/* Is a the better choice? The size decides first: a larger one is taken only "when none of the size is
 * free", also when the free one of the size is an accessible one. In a tie the first one is kept. */
static bool better(const Cabinet *c, const PositionFacts *facts, const FitRequest *request, int a, int b) {
        unsigned ordinal_a = ordinal_of(c, a), ordinal_b = ordinal_of(c, b);
        bool accessible_a = slot_of(c, a)->accessible, accessible_b = slot_of(c, b)->accessible;

        if (ordinal_a != ordinal_b)
                return ordinal_a < ordinal_b;
        if (!request->accessible && accessible_a != accessible_b)
                return accessible_b;
        if (facts[a].slot_load != facts[b].slot_load)
                return facts[a].slot_load > facts[b].slot_load;
        return facts[a].last_used < facts[b].last_used;
}

Refusal fit_choose(const Cabinet *c, const PositionFacts *facts, const FitRequest *request,
                   int *ret_position) {
        int best = -1;

        for (int i = 0; i < c->n_positions; i++)
                if (fit_is_free(&facts[i]) && fits(c, i, request) &&
                    (best < 0 || better(c, facts, request, i, best)))
                        best = i;
        if (best < 0)
                return LOCKER_E_NO_FREE_POSITION;
        *ret_position = best;
        return REFUSAL_NONE;
}
