/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated person: waits until the door (and the lid) is open, puts or takes an item, shuts again.
 */
#include "sim/place.h"

#define PULL_AFTER (50 * NSEC_PER_MSEC)
#define LOOK_AGAIN (100 * NSEC_PER_MSEC)

static void next_stage(Place *p, AutoStage stage, uint64_t due) {
        p->auto_stage = stage;
        loop_arm(&p->sim->loop, &p->auto_timer, due);
}

static bool slot_open(const Place *p) {
        return !p->slot || !p->slot->shut;
}

static void consider(Place *p, uint64_t at) {
        if (p->auto_kind == AUTO_OFF || p->auto_stage != AUTO_IDLE || !slot_open(p))
                return;
        if (!place_has_lid(p) || !p->shut)
                next_stage(p, AUTO_ACTING, at + p->auto_delay / 2);
        else if (p->motor && !p->home && !p->blocked)
                next_stage(p, AUTO_PULLING, at + PULL_AFTER); /* no spring does it */
}

void auto_look(Place *p, uint64_t at) {
        consider(p, at);
        for (size_t i = 0; p->n_positions && i < p->sim->n_places; i++)
                if (p->sim->places[i].slot == p)
                        consider(&p->sim->places[i], at);
}

/* No person shuts the door while another is active. */
static bool others_busy(const Place *p) {
        const Sim *s = p->sim;

        for (size_t i = 0; i < s->n_places; i++)
                if (&s->places[i] != p && s->places[i].slot == p->slot &&
                    s->places[i].auto_stage != AUTO_IDLE)
                        return true;
        return false;
}

/* …nor on those inside. */
static bool children_busy(const Place *p) {
        const Sim *s = p->sim;

        for (size_t i = 0; p->n_positions && i < s->n_places; i++)
                if (s->places[i].slot == p && s->places[i].auto_stage != AUTO_IDLE)
                        return true;
        return false;
}

static void shut_all(Place *p, uint64_t at) {
        if (place_has_lid(p))
                (void)place_close(p, at);
        if (p->slot && !others_busy(p))
                (void)place_close(p->slot, at);
}

static void act(void *userdata, uint64_t due) {
        Place *p = userdata;

        switch (p->auto_stage) {
        case AUTO_IDLE:
                return;
        case AUTO_PULLING:
                p->auto_stage = AUTO_IDLE;
                (void)place_open(p, due);
                return;
        case AUTO_ACTING:
                if (p->auto_kind == AUTO_PUT)
                        (void)place_put(p, due);
                else if (p->auto_kind == AUTO_TAKE)
                        (void)place_take(p, due);
                next_stage(p, AUTO_CLOSING, due + p->auto_delay - p->auto_delay / 2);
                return;
        case AUTO_CLOSING:
                if (children_busy(p)) {
                        next_stage(p, AUTO_CLOSING, due + LOOK_AGAIN);
                        return;
                }
                shut_all(p, due);
                p->auto_stage = AUTO_IDLE;
                return;
        }
}

void auto_init(Place *p) {
        p->auto_timer = (Timer){.fire = act, .userdata = p};
}

const char *place_auto(Place *p, AutoKind kind, uint64_t delay, uint64_t at) {
        if ((kind == AUTO_PUT || kind == AUTO_TAKE) && p->n_positions)
                return "the slot has positions: say which";
        loop_disarm(&p->sim->loop, &p->auto_timer);
        p->auto_kind = kind;
        p->auto_delay = delay;
        p->auto_stage = AUTO_IDLE;
        consider(p, at);
        return NULL;
}
