/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/order.h"
#include "base/text.h"
#include "sim/coil.h"
#include "sim/language.h"
#include "sim/place.h"
#include "sim/report.h"
#include "sim/state.h"

#define WORDS_MAX 6
#define MS_MAX    UINT64_C(600000)

typedef struct Order {
        Sim *sim;
        char *words[WORDS_MAX + 1];
        size_t n;
        uint64_t now;
        json_t *reply; /* what there is to say besides ok */
} Order;

static const char wrong_usage[] = "that is not how it is said, see locksim(1)";

static bool on_off(const char *word, bool *ret) {
        *ret = word && streq(word, "on");
        return word && (*ret || streq(word, "off"));
}

/* A number of milliseconds or per cent; `fallback` when the word is missing. */
static bool number(const char *word, uint64_t max, uint64_t fallback, uint64_t *ret) {
        *ret = fallback;
        return !word || text_to_u64(word, max, ret) >= 0;
}

/* The only shelf of a slot without positions may also be named by its number, as in the daemon. */
static Place *find_place(const Sim *s, const char *name) {
        Place *p = sim_place(s, name);
        size_t n = strlen(name);
        char slot[64];

        if (p || n < 3 || n >= sizeof(slot) || !streq(name + n - 2, "/1"))
                return p;
        memcpy(slot, name, n - 2);
        slot[n - 2] = 0;
        p = sim_place(s, slot);
        return p && !p->n_positions ? p : NULL;
}

static const char *do_state(Order *c) {
        c->reply = state_json(c->sim);
        return NULL;
}

static const char *do_objections(Order *c) {
        c->reply = json_pack("{s:o}", "objections", objections_json(c->sim));
        return NULL;
}

static const char *do_clear(Order *c) {
        objections_clear(c->sim);
        return NULL;
}

static const char *do_seed(Order *c) {
        uint64_t seed;

        if (c->n != 2 || text_to_u64(c->words[1], UINT64_MAX, &seed) < 0)
                return wrong_usage;
        sim_seed(c->sim, seed);
        return NULL;
}

/* The actions of a person on one door, lid or shelf: the verb and the lock. */
static const char *do_person(Order *c) {
        const char *verb = c->words[0];
        Place *p = c->n >= 2 ? find_place(c->sim, c->words[1]) : NULL;

        if (c->n < 2)
                return wrong_usage;
        if (!p)
                return "there is no such lock";
        if (streq(verb, "block")) {
                bool spring_back = c->n == 3 && streq(c->words[2], "spring-back");
                return c->n == 2 || spring_back ? place_block(p, true, spring_back, c->now) : wrong_usage;
        }
        if (c->n != 2)
                return wrong_usage;
        if (streq(verb, "open"))
                return place_open(p, c->now);
        if (streq(verb, "close"))
                return place_close(p, c->now);
        if (streq(verb, "force"))
                return place_force(p, c->now);
        if (streq(verb, "put"))
                return place_put(p, c->now);
        if (streq(verb, "take"))
                return place_take(p, c->now);
        if (streq(verb, "unblock"))
                return place_block(p, false, false, c->now);
        if (streq(verb, "jam") || streq(verb, "unjam"))
                return place_jam(p, verb[0] == 'j', c->now);
        return place_hold(p, verb[0] == 'h', c->now);
}

static const char *do_release(Order *c) {
        Place *p = c->n == 3 ? find_place(c->sim, c->words[1]) : NULL;
        bool on;

        if (c->n != 3 || !on_off(c->words[2], &on))
                return wrong_usage;
        return p ? place_release(p, on, c->now) : "there is no such slot";
}

static const char *do_alarm(Order *c) {
        Alarm *a = c->n == 3 ? sim_alarm(c->sim, c->words[1]) : NULL;
        bool on;

        if (c->n != 3 || !on_off(c->words[2], &on))
                return wrong_usage;
        if (!a)
                return "there is no such alarm";
        a->on = on;
        journal_write(c->sim, c->now, "alarm", json_pack("{s:s, s:b}", "alarm", a->name, "on", on));
        return NULL;
}

static const char *do_auto(Order *c) {
        static const char *const kinds[] = {"off", "close", "put", "take"};
        uint64_t ms = 0;
        int kind = -1;

        if (c->n == 2 && streq(c->words[1], "off")) {
                for (size_t i = 0; i < c->sim->n_places; i++)
                        (void)place_auto(&c->sim->places[i], AUTO_OFF, 0, c->now);
                return NULL;
        }
        for (int i = 0; c->n >= 3 && i < (int)ARRAY_SIZE(kinds); i++)
                if (streq(c->words[2], kinds[i]))
                        kind = i;
        if (kind < 0 || c->n != (kind == AUTO_OFF ? 3U : 4U) || !number(c->words[3], MS_MAX, 0, &ms))
                return wrong_usage;
        if (streq(c->words[1], "all")) {
                for (size_t i = 0; i < c->sim->n_places; i++)
                        (void)place_auto(&c->sim->places[i], (AutoKind)kind, ms * NSEC_PER_MSEC, c->now);
                return NULL;
        }
        Place *p = find_place(c->sim, c->words[1]);
        return p ? place_auto(p, (AutoKind)kind, ms * NSEC_PER_MSEC, c->now) : "there is no such lock";
}

static const char *board_normal(Order *c, Board *b) {
        b->fault = (Fault){0};
        b->address = b->configured_address;
        return c->n == 3 ? NULL : wrong_usage;
}

static const char *board_fault(Board *b, const char *what, const char *value) {
        Fault *f = &b->fault;
        const struct {
                const char *name;
                unsigned *per_cent;
                uint64_t *ms;
        } faults[] = {
                {"late", NULL, &f->late},
                {"dribble", NULL, &f->dribble},
                {"deaf", &f->deaf, NULL},
                {"drop", &f->drop, NULL},
                {"double", &f->repeat, NULL},
                {"damage", &f->damage, NULL},
                {"truncate", &f->truncate, NULL},
                {"wrong-address", &f->wrong_address, NULL},
                {"wrong-echo", &f->wrong_echo, NULL},
                {"wrong-sum", &f->wrong_sum, NULL},
                {"unlock-response", &f->unlock_response, NULL},
                {"failing", &f->failing, NULL},
                {"working", &f->working, NULL},
                {"busy", &f->busy, NULL},
                {"stale", &f->stale, NULL},
        };
        uint64_t v;

        for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                if (!streq(what, faults[i].name))
                        continue;
                if (faults[i].ms) {
                        if (!value || !number(value, MS_MAX, 0, &v))
                                return wrong_usage;
                        *faults[i].ms = v * NSEC_PER_MSEC;
                        return NULL;
                }
                if (!number(value, 100, 100, &v))
                        return wrong_usage;
                *faults[i].per_cent = (unsigned)v;
                return NULL;
        }
        return "there is no such fault";
}

static const char *do_board(Order *c) {
        Board *b = c->n >= 3 ? sim_board(c->sim, c->words[1]) : NULL;
        const char *what = c->words[2];
        uint64_t v;

        if (c->n < 3 || c->n > 4)
                return wrong_usage;
        if (!b)
                return "there is no such board";
        journal_write(c->sim, c->now, "fault",
                      json_pack("{s:s, s:s, s:s?}", "board", b->name, "fault", what, "value", c->words[3]));
        if (streq(what, "normal"))
                return board_normal(c, b);
        if (streq(what, "silent")) {
                b->fault.silent = true;
                coils_drop(b, c->now);
                return c->n == 3 ? NULL : wrong_usage;
        }
        if (streq(what, "address")) {
                if (c->n != 4 || text_to_u64(c->words[3], b->profile->language->address_max, &v) < 0 ||
                    (!v && b->profile->language->broadcast))
                        return wrong_usage;
                b->address = (unsigned)v;
                return NULL;
        }
        return board_fault(b, what, c->words[3]);
}

static const char *set_wire(Order *c, InputWire *w, const char *what, const char *value) {
        static const char *const faults[] = {"normal", "on", "off", "inverted", "spike", "chatter"};
        uint64_t ms = 0;

        for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                bool timed = i == WIRE_SPIKE || i == WIRE_CHATTER;
                if (!streq(what, faults[i]))
                        continue;
                if (timed != (value != NULL) || !number(value, MS_MAX, 0, &ms))
                        return wrong_usage;
                *w = (InputWire){(WireFault)i, c->now, ms * NSEC_PER_MSEC};
                return NULL;
        }
        return wrong_usage;
}

/* input BOARD:CHANNEL FAULT [MS]; with "all" for the channel, the wire that all inputs of the board share. */
static const char *do_input(Order *c) {
        char *colon = c->n >= 3 ? strchr(c->words[1], ':') : NULL;
        uint64_t channel = 0;

        if (!colon || c->n > 4)
                return wrong_usage;
        *colon = 0;
        Board *b = sim_board(c->sim, c->words[1]);
        if (!b)
                return "there is no such board";
        journal_write(c->sim, c->now, "wire",
                      json_pack("{s:s, s:s, s:s, s:s?}", "board", b->name, "input", colon + 1, "fault",
                                c->words[2], "value", c->words[3]));
        if (streq(colon + 1, "all"))
                return set_wire(c, &b->common, c->words[2], c->words[3]);
        if (text_to_u64(colon + 1, b->profile->inputs, &channel) < 0 || !channel)
                return "there is no such input";
        return set_wire(c, &b->inputs[channel - 1].wire, c->words[2], c->words[3]);
}

static const char *do_line(Order *c) {
        Line *l = c->n >= 3 ? sim_line(c->sim, c->words[1]) : NULL;
        uint64_t v = 0;

        if (c->n < 3 || c->n > 4)
                return wrong_usage;
        if (!l || l->ignored)
                return "there is no such line";
        if (streq(c->words[2], "normal") && c->n == 3) {
                line_babble(l, 0);
                l->noise = 0;
                l->echo = l->surplus = l->preamble = false;
                return NULL;
        }
        if (l->tcp && !l->raw)
                return "there is no noise on a network";
        if (streq(c->words[2], "echo"))
                return on_off(c->words[3], &l->echo) ? NULL : wrong_usage;
        if (streq(c->words[2], "surplus"))
                return on_off(c->words[3], &l->surplus) ? NULL : wrong_usage;
        if (streq(c->words[2], "preamble"))
                return on_off(c->words[3], &l->preamble) ? NULL : wrong_usage;
        if (streq(c->words[2], "babble") && c->n == 4 && number(c->words[3], MS_MAX, 0, &v)) {
                line_babble(l, v * NSEC_PER_MSEC);
                return NULL;
        }
        if (streq(c->words[2], "noise") && number(c->words[3], 100, 100, &v)) {
                l->noise = (unsigned)v;
                return NULL;
        }
        return wrong_usage;
}

static const char *run(Order *c) {
        static const struct {
                const char *verb;
                const char *(*run)(Order *c);
        } verbs[] = {
                {"state", do_state},    {"objections", do_objections},
                {"clear", do_clear},    {"seed", do_seed},
                {"open", do_person},    {"close", do_person},
                {"force", do_person},   {"put", do_person},
                {"take", do_person},    {"block", do_person},
                {"unblock", do_person}, {"jam", do_person},
                {"unjam", do_person},   {"hold", do_person},
                {"unhold", do_person},  {"release", do_release},
                {"alarm", do_alarm},    {"auto", do_auto},
                {"board", do_board},    {"line", do_line},
                {"input", do_input},
        };

        if (!c->n)
                return wrong_usage;
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                if (streq(c->words[0], verbs[i].verb))
                        return verbs[i].run(c);
        return "there is no such command";
}

json_t *order_run(Sim *s, char *line) {
        Order c = {.sim = s, .now = loop_now()};
        char *rest = line, *word;

        while ((word = strsep(&rest, " \t\r")))
                if (*word && c.n < WORDS_MAX)
                        c.words[c.n++] = word;
        const char *why = run(&c);
        if (!c.reply)
                c.reply = json_object();
        json_object_set_new(c.reply, "ok", json_boolean(!why));
        if (why)
                json_object_set_new(c.reply, "error", json_string(why));
        return c.reply;
}
