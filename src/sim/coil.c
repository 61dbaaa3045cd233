/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/coil.h"
#include "sim/place.h"
#include "sim/report.h"

/* Tolerance for a late wake-up of the master before a pulse counts as too long or too soon. */
#define TOLERANCE (2 * NSEC_PER_MSEC)

/* The simulator itself was delayed for longer than that: the end of the pulse may be unread input. */
#define STOOD_STILL (20 * NSEC_PER_MSEC)
#define READ_UP     (50 * NSEC_PER_MSEC)

static void too_long(void *userdata, uint64_t due) {
        Coil *c = userdata;
        uint64_t limit = c->since + c->board->profile->max_pulse + TOLERANCE, now = loop_now();

        if (due == limit && now > limit + STOOD_STILL) {
                loop_arm(&c->sim->loop, &c->limit, now + READ_UP);
                return;
        }
        object(c->sim, limit, "too-long", c->board, "coil %s:%u (%s) is on for more than %u ms",
               c->board->name, c->index + 1, c->place ? c->place->name : "no lock",
               (unsigned)(c->board->profile->max_pulse / NSEC_PER_MSEC));
}

static void turn_back(void *userdata, uint64_t due) {
        Coil *c = userdata;

        coil_set(c, !c->on, due);
}

void coils_init(Board *b) {
        for (unsigned i = 0; i < b->profile->outputs; i++) {
                b->coils[i].limit = (Timer){.fire = too_long, .userdata = &b->coils[i]};
                b->coils[i].turn = (Timer){.fire = turn_back, .userdata = &b->coils[i]};
        }
}

/* Each unit of a supply's capacity has its own cooldown after a pulse. */
static unsigned resting(const Supply *s, uint64_t at, uint64_t *ret_last) {
        unsigned n = 0;

        *ret_last = 0;
        for (unsigned i = 0; i < SUPPLY_ENDS; i++) {
                n += s->ends[i] && at + TOLERANCE + s->cooldown / 10 < s->ends[i] + s->cooldown;
                *ret_last = MAX(*ret_last, s->ends[i]);
        }
        return n;
}

static void switched_on(Coil *c, uint64_t at) {
        Supply *s = c->board->supply;

        if (!c->place)
                object(c->sim, at, "no-lock", c->board, "coil %s:%u is switched on, but no lock hangs on it",
                       c->board->name, c->index + 1);
        if (s) {
                uint64_t last;
                s->n_active++;
                if (s->n_active > s->max_active)
                        object(c->sim, at, "supply", c->board,
                               "coil %s:%u makes %u on supply %s, which carries %u", c->board->name,
                               c->index + 1, s->n_active, s->name, s->max_active);
                else if (s->n_active + resting(s, at, &last) > s->max_active)
                        object(c->sim, at, "cooldown", c->board,
                               "coil %s:%u comes %u ms after the last pulse of supply %s, which rests %u ms",
                               c->board->name, c->index + 1,
                               at > last ? (unsigned)((at - last) / NSEC_PER_MSEC) : 0, s->name,
                               (unsigned)(s->cooldown / NSEC_PER_MSEC));
        }
        loop_arm(&c->sim->loop, &c->limit, at + c->board->profile->max_pulse + TOLERANCE);
}

void coil_set(Coil *c, bool on, uint64_t at) {
        Supply *s = c->board->supply;

        loop_disarm(&c->sim->loop, &c->turn);
        if (c->on == on)
                return;
        journal_write(c->sim, at, "coil",
                      json_pack("{s:s, s:i, s:b, s:s?}", "board", c->board->name, "channel",
                                (int)c->index + 1, "on", on, "lock", c->place ? c->place->name : NULL));
        c->on = on;
        if (on) {
                c->since = at;
                switched_on(c, at);
        } else {
                loop_disarm(&c->sim->loop, &c->limit);
                if (s) {
                        s->n_active--;
                        s->ends[s->next_end] = at;
                        s->next_end = (s->next_end + 1) % SUPPLY_ENDS;
                }
        }
        if (c->place)
                place_energised(c->place, c, at);
}

void coil_flash(Coil *c, bool on, uint64_t duration, uint64_t at) {
        coil_set(c, on, at);
        loop_arm(&c->sim->loop, &c->turn, at + duration);
}

void coils_drop(Board *b, uint64_t at) {
        for (unsigned i = 0; i < b->profile->outputs; i++)
                coil_set(&b->coils[i], false, at);
}
