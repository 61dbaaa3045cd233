/* SPDX-License-Identifier: Apache-2.0 */
/* The whole cabinet as JSON. The form is described in locksim(1); tests and scripts build on it. */
#include "sim/state.h"
#include "sim/place.h"
#include "sim/report.h"
#include "sim/tty.h"

static void add_lid(json_t *j, const Place *p) {
        json_object_set_new(j, "door", json_string(p->shut ? "shut" : "open"));
        json_object_set_new(j, "latch", json_string(p->home ? "locked" : "released"));
        json_object_set_new(j, "coil", json_boolean(p->coil && p->coil->on));
        if (p->secure)
                json_object_set_new(j, "secure_coil", json_boolean(p->secure->on));
        json_object_set_new(j, "kind", json_string(p->motor ? "motor" : "latch"));
        json_object_set_new(j, "jammed", json_boolean(p->jammed));
        json_object_set_new(j, "blocked", json_boolean(p->blocked));
        json_object_set_new(j, "held", json_boolean(p->held));
        json_object_set_new(j, "pulses", json_integer((json_int_t)p->n_pulses));
        json_object_set_new(j, "openings", json_integer((json_int_t)p->n_openings));
}

static json_t *place_json(const Place *p) {
        static const char *const autos[] = {"off", "close", "put", "take"};
        json_t *j = json_pack("{s:s}", "auto", autos[p->auto_kind]);

        if (!j)
                return NULL;
        if (!p->n_positions)
                json_object_set_new(j, "item", json_boolean(p->item));
        if (!p->slot)
                json_object_set_new(j, "release", json_boolean(p->pressed));
        if (place_has_lid(p))
                add_lid(j, p);
        return j;
}

static json_t *places_json(const Sim *s, bool positions) {
        json_t *j = json_object();

        for (size_t i = 0; j && i < s->n_places; i++)
                if (!s->places[i].slot == !positions)
                        json_object_set_new(j, s->places[i].name, place_json(&s->places[i]));
        return j;
}

static json_t *fault_json(const Board *b) {
        const Fault *f = &b->fault;

        return json_pack("{s:b, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
                         "silent", f->silent, "late", (json_int_t)(f->late / NSEC_PER_MSEC), "dribble",
                         (json_int_t)(f->dribble / NSEC_PER_MSEC), "deaf", (int)f->deaf, "drop", (int)f->drop,
                         "double", (int)f->repeat, "damage", (int)f->damage, "truncate", (int)f->truncate,
                         "wrong-address", (int)f->wrong_address, "wrong-echo", (int)f->wrong_echo,
                         "wrong-sum", (int)f->wrong_sum, "unlock-response", (int)f->unlock_response,
                         "failing", (int)f->failing, "working", (int)f->working, "busy", (int)f->busy,
                         "stale", (int)f->stale);
}

static json_t *board_json(const Board *b) {
        json_t *coils = json_array(), *inputs = json_array();

        for (unsigned c = 0; c < b->profile->outputs; c++)
                if (b->coils[c].on)
                        json_array_append_new(coils, json_integer(c + 1));
        for (unsigned i = 0; i < b->profile->inputs; i++)
                if (input_read(&b->inputs[i]))
                        json_array_append_new(inputs, json_integer(i + 1));
        return json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:I, s:I}", "line", b->line->name, "profile",
                         b->profile->name, "address", (int)b->address, "coils", coils, "inputs", inputs,
                         "faults", fault_json(b), "requests", (json_int_t)b->n_requests, "answers",
                         (json_int_t)b->n_answers);
}

static json_t *line_json(const Line *l) {
        bool open = l->tcp ? l->clients != NULL : pty_in_use(l->fd);
        const char *path = l->tcp ? l->device : l->link;
        json_t *j = json_pack("{s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:i}", "path", path, "open", open,
                              "baud", (int)l->baud, "requests", (json_int_t)l->n_requests, "answers",
                              (json_int_t)l->n_answers, "garbage", (json_int_t)l->n_garbage, "collisions",
                              (json_int_t)l->n_collisions, "babble", (json_int_t)(l->babble / NSEC_PER_MSEC),
                              "noise", (int)l->noise);

        if (j && l->tcp)
                json_object_set_new(j, "port", json_integer(l->tcp_port));
        if (j && l->pty)
                json_object_set_new(j, "pty", json_string(l->pty));
        return j;
}

json_t *state_json(const Sim *s) {
        json_t *boards = json_object(), *lines = json_object(), *supplies = json_object(),
               *alarms = json_object();

        for (size_t i = 0; i < s->n_boards; i++)
                if (!s->boards[i].line->ignored)
                        json_object_set_new(boards, s->boards[i].name, board_json(&s->boards[i]));
        for (size_t i = 0; i < s->n_lines; i++)
                if (!s->lines[i].ignored)
                        json_object_set_new(lines, s->lines[i].name, line_json(&s->lines[i]));
        for (size_t i = 0; i < s->n_supplies; i++)
                json_object_set_new(supplies, s->supplies[i].name,
                                    json_pack("{s:i, s:i}", "active", (int)s->supplies[i].n_active,
                                              "max_active", (int)s->supplies[i].max_active));
        for (size_t i = 0; i < s->n_alarms; i++)
                json_object_set_new(alarms, s->alarms[i].name, json_boolean(s->alarms[i].on));
        return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "time_us",
                         (json_int_t)(loop_now() / NSEC_PER_USEC), "seed", (json_int_t)s->seed, "slots",
                         places_json(s, false), "positions", places_json(s, true), "boards", boards, "lines",
                         lines, "supplies", supplies, "alarms", alarms, "objections", objections_json(s));
}
