/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/place.h"
#include "sim/report.h"

/* Delays: not measured on real locks, see locksim(1). */
#define LATCH_MIN  (8 * NSEC_PER_MSEC)
#define LATCH_MAX  (15 * NSEC_PER_MSEC)
#define DOOR_MIN   (20 * NSEC_PER_MSEC)
#define DOOR_MAX   (60 * NSEC_PER_MSEC)
#define MOTOR_TIME (150 * NSEC_PER_MSEC)

static void tell(Place *p, uint64_t at, const char *event, const char *state) {
        journal_write(p->sim, at, event, json_pack("{s:s, s:s}", "lock", p->name, "state", state));
}

static void set_home(Place *p, bool home, uint64_t at) {
        if (p->home == home)
                return;
        p->home = home;
        tell(p, at, "latch", home ? "locked" : "released");
        auto_look(p, at);
}

static void set_shut(Place *p, bool shut, uint64_t at) {
        if (p->shut == shut)
                return;
        p->shut = shut;
        p->n_openings += !shut;
        tell(p, at, "door", shut ? "shut" : "open");
        auto_look(p, at);
}

static bool spring_coil_on(const Place *p) {
        return !p->motor && p->coil && p->coil->on;
}

/* The spring opens the door as soon as nothing holds it. */
static void push(Place *p, uint64_t at) {
        if (!p->motor && p->coil && p->shut && !p->home && !p->blocked && !p->jammed &&
            !timer_armed(&p->door))
                loop_arm(&p->sim->loop, &p->door, at);
}

static void latch_moves(void *userdata, uint64_t due) {
        Place *p = userdata;

        if (!spring_coil_on(p) || p->jammed)
                return;
        set_home(p, false, due);
        uint64_t pushed = p->coil->since + sim_random(p->sim, DOOR_MIN, DOOR_MAX);
        push(p, MAX(pushed, due));
}

static void door_moves(void *userdata, uint64_t due) {
        Place *p = userdata;

        if (p->shut && !p->home && !p->blocked && !p->jammed)
                set_shut(p, false, due);
}

static void motor_turns(void *userdata, uint64_t due) {
        Place *p = userdata;

        if (!p->jammed && (p->shut || !p->motor_to_home))
                set_home(p, p->motor_to_home, due);
}

void place_init(Place *p) {
        p->latch = (Timer){.fire = latch_moves, .userdata = p};
        p->door = (Timer){.fire = door_moves, .userdata = p};
        p->motor_turn = (Timer){.fire = motor_turns, .userdata = p};
        auto_init(p);
}

void place_energised(Place *p, const Coil *c, uint64_t at) {
        if (c->on && !c->secure)
                p->n_pulses++;
        if (p->motor) {
                /* The lock's own electronics finish the turn, however short the pulse. */
                if (c->on) {
                        p->motor_to_home = c->secure;
                        loop_arm(&p->sim->loop, &p->motor_turn, at + MOTOR_TIME);
                }
        } else if (c->on) {
                loop_arm(&p->sim->loop, &p->latch, at + sim_random(p->sim, LATCH_MIN, LATCH_MAX));
        } else if (p->shut && p->blocked && p->spring_back && !p->jammed) {
                set_home(p, true, at);
        }
}

static bool over_wire(const InputWire *w, bool value) {
        uint64_t passed = w->fault == WIRE_FINE ? 0 : loop_now() - w->since;

        switch (w->fault) {
        case WIRE_FINE:
                break;
        case WIRE_ON:
                return true;
        case WIRE_OFF:
                return false;
        case WIRE_INVERTED:
                return !value;
        case WIRE_SPIKE:
                return passed < w->time ? !value : value;
        case WIRE_CHATTER:
                return passed / MAX(w->time, UINT64_C(1)) % 2 ? value : !value;
        }
        return value;
}

static bool input_level(const Input *in) {
        bool yes = false;

        switch (in->kind) {
        case INPUT_NONE:
                return false;
        case INPUT_CONTACT:
                yes = in->place->shut;
                break;
        case INPUT_LATCH:
                yes = in->place->shut && in->place->home;
                break;
        case INPUT_PRESENCE:
                yes = in->place->item;
                break;
        case INPUT_RELEASE:
                yes = in->place->pressed;
                break;
        case INPUT_ALARM:
                yes = in->alarm->on;
                break;
        }
        return yes == in->active;
}

bool input_read(const Input *in) {
        return over_wire(in->common, over_wire(&in->wire, input_level(in)));
}

/* Whether the door, lid or shelf is accessible. */
static const char *reach(const Place *p) {
        return p->slot && p->slot->shut ? "the slot's door is shut" : NULL;
}

static const char *reach_lid(const Place *p) {
        return place_has_lid(p) ? reach(p) : "there is no lid";
}

static const char *reach_inside(const Place *p) {
        const char *why = reach(p);

        if (why)
                return why;
        if (p->n_positions)
                return "the slot has positions: say which";
        return place_has_lid(p) && p->shut ? "it is shut" : NULL;
}

const char *place_open(Place *p, uint64_t at) {
        const char *why = reach_lid(p);

        if (why)
                return why;
        if (!p->shut)
                return "it is open";
        if (p->home)
                return "it is locked";
        if (p->blocked)
                return "it is blocked";
        set_shut(p, false, at);
        return NULL;
}

const char *place_close(Place *p, uint64_t at) {
        const char *why = reach_lid(p);

        if (why)
                return why;
        if (p->shut)
                return "it is shut";
        if (p->held)
                return "it is held open";
        set_shut(p, true, at);
        if (spring_coil_on(p))
                push(p, at + sim_random(p->sim, DOOR_MIN, DOOR_MAX));
        else if (!p->motor && p->coil && !p->jammed)
                set_home(p, true, at);
        return NULL;
}

const char *place_force(Place *p, uint64_t at) {
        const char *why = reach_lid(p);

        if (why)
                return why;
        if (!p->shut)
                return "it is open";
        journal_write(p->sim, at, "forced", json_pack("{s:s}", "lock", p->name));
        set_home(p, false, at);
        set_shut(p, false, at);
        return NULL;
}

static const char *set_item(Place *p, bool item, uint64_t at) {
        const char *why = reach_inside(p);

        if (why)
                return why;
        if (p->item == item)
                return item ? "something lies there" : "it is empty";
        p->item = item;
        tell(p, at, "item", item ? "there" : "gone");
        return NULL;
}

const char *place_put(Place *p, uint64_t at) {
        return set_item(p, true, at);
}

const char *place_take(Place *p, uint64_t at) {
        return set_item(p, false, at);
}

const char *place_block(Place *p, bool on, bool spring_back, uint64_t at) {
        if (!place_has_lid(p))
                return "there is no lid";
        p->blocked = on;
        p->spring_back = on && spring_back;
        if (!on)
                push(p, at + sim_random(p->sim, DOOR_MIN, DOOR_MAX));
        return NULL;
}

const char *place_jam(Place *p, bool on, uint64_t at) {
        if (!place_has_lid(p))
                return "there is no lid";
        p->jammed = on;
        if (!on)
                push(p, at + sim_random(p->sim, DOOR_MIN, DOOR_MAX));
        return NULL;
}

const char *place_hold(Place *p, bool on, uint64_t at) {
        if (!place_has_lid(p))
                return "there is no lid";
        p->held = on;
        return NULL;
}

const char *place_release(Place *p, bool on, uint64_t at) {
        if (p->slot)
                return "only slots have a release button";
        p->pressed = on;
        tell(p, at, "release", on ? "on" : "off");
        return NULL;
}
