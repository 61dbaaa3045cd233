/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/wiring.h"
#include "sim/refs.h"

#include <errno.h>

/* The channels of one key of one section, one for each of its names; none when the key is absent. */
static int read_refs(Ini *ini, const IniSection *s, const char *key, size_t n, Refs *ret) {
        const IniKey *k = ini_key(s, key);

        *ret = (Refs){0};
        if (!k)
                return 0;
        int r = refs_parse(k->value, ret);
        if (r == -EINVAL)
                return ini_complain(ini, k->line, "%s=%s: channels such as A:1-6,B:2 are wanted", key,
                                    k->value);
        if (r < 0)
                return r;
        if (ret->n != n) {
                r = ini_complain(ini, k->line, "%s=%s: %zu channels for %zu places", key, k->value, ret->n,
                                 n);
                refs_clear(ret);
        }
        return r;
}

static int find_board(Sim *sim, Ini *ini, unsigned line, const Ref *ref, bool output, Board **ret) {
        Board *b = sim_board(sim, ref->board);

        if (!b)
                return ini_complain(ini, line, "there is no [Board %s]", ref->board);
        /* A board that is not simulated still carries channels in the file. */
        unsigned channels = output ? b->profile->outputs : b->profile->inputs;
        if (b->profile->language && ref->channel > channels)
                return ini_complain(ini, line, "%s:%u: board %s has %u %s", ref->board, ref->channel,
                                    ref->board, channels, output ? "outputs" : "inputs");
        *ret = b->profile->language ? b : NULL;
        return 0;
}

static int bind_coil(Sim *sim, Ini *ini, unsigned line, const Ref *ref, Place *p, bool secure) {
        Board *b = NULL;
        int r = find_board(sim, ini, line, ref, true, &b);

        if (r < 0 || !b)
                return r;
        Coil *c = &b->coils[ref->channel - 1];
        if (c->place)
                return ini_complain(ini, line, "%s:%u is wired twice", ref->board, ref->channel);
        c->place = p;
        c->secure = secure;
        if (secure)
                p->secure = c;
        else
                p->coil = c;
        return 0;
}

static int bind_input(Sim *sim, Ini *ini, unsigned line, const Ref *ref, const Input *what,
                      const bool *active) {
        Board *b = NULL;
        int r = find_board(sim, ini, line, ref, false, &b);

        if (r < 0 || !b)
                return r;
        Input *in = &b->inputs[ref->channel - 1];
        if (in->kind != INPUT_NONE)
                return ini_complain(ini, line, "%s:%u is wired twice", ref->board, ref->channel);
        *in = *what;
        in->common = &b->common;
        in->active = active ? *active : b->profile->input_active;
        return 0;
}

typedef struct Wire {
        const char *key, *when; /* when: the key that inverts its meaning */
        InputKind kind;         /* INPUT_NONE: an output */
        bool secure;
} Wire;

/* Assigns one key of a section to all places of the section. */
static int bind_key(Sim *sim, Ini *ini, const IniSection *s, const Wire *w, size_t first, size_t n) {
        Refs refs;
        bool active = true;
        int r = read_refs(ini, s, w->key, n, &refs);

        if (r >= 0 && w->when)
                r = ini_bool(ini, s, w->when, &active);
        const bool *said = w->when && ini_key(s, w->when) ? &active : NULL;
        for (size_t i = 0; r >= 0 && i < refs.n; i++) {
                Place *p = &sim->places[first + i];
                unsigned line = ini_key(s, w->key)->line;
                Input input = {.kind = w->kind, .place = p};
                r = w->kind == INPUT_NONE ? bind_coil(sim, ini, line, &refs.refs[i], p, w->secure)
                                          : bind_input(sim, ini, line, &refs.refs[i], &input, said);
        }
        refs_clear(&refs);
        return r;
}

static int bind_keys(Sim *sim, Ini *ini, const IniSection *s, size_t first, size_t n) {
        static const Wire wires[] = {
                {"Lock", NULL, INPUT_NONE, false},
                {"Secure", NULL, INPUT_NONE, true},
                {"Door", "DoorClosedWhen", INPUT_CONTACT, false},
                {"Latch", "LatchLockedWhen", INPUT_LATCH, false},
                {"Presence", "PresenceOccupiedWhen", INPUT_PRESENCE, false},
                {"Release", "ReleasePressedWhen", INPUT_RELEASE, false},
        };
        static const char *const kinds[] = {"latch", "motor"};
        unsigned motor = 0;
        int r = ini_word(ini, s, "LockType", kinds, ARRAY_SIZE(kinds), &motor);

        for (size_t i = 0; i < n; i++)
                sim->places[first + i].motor = motor == 1;
        for (size_t k = 0; r >= 0 && k < ARRAY_SIZE(wires); k++)
                r = bind_key(sim, ini, s, &wires[k], first, n);
        return r;
}

/* The slot a position's name begins with: "P1/3" lies in "P1". */
static int find_slot(Sim *sim, Ini *ini, const IniSection *s, const char *position, Place **ret) {
        const char *slash = strrchr(position, '/');
        _cleanup_free_ char *slot = slash ? strndup(position, (size_t)(slash - position)) : NULL;

        if (!slash)
                return ini_complain(ini, s->line, "[Position %s]: a name such as P1/3 is wanted", s->name);
        if (!slot)
                return -ENOMEM;
        Place *p = sim_place(sim, slot);
        if (!p)
                return ini_complain(ini, s->line, "[Position %s] lies in no known slot", s->name);
        p->n_positions++;
        *ret = p;
        return 0;
}

static int make_places(Sim *sim, Ini *ini, const IniSection *s, const Names *names, bool positions) {
        size_t first = sim->n_places;

        for (size_t i = 0; i < names->n; i++) {
                Place *slot = NULL;
                if (sim_place(sim, names->names[i]))
                        return ini_complain(ini, s->line, "[%s %s]: %s is there already", s->kind, s->name,
                                            names->names[i]);
                if (positions) {
                        int r = find_slot(sim, ini, s, names->names[i], &slot);
                        if (r < 0)
                                return r;
                }
                Place *p = &sim->places[sim->n_places++];
                *p = (Place){.sim = sim,
                             .slot = slot,
                             .shut = true,
                             .home = true,
                             .name = strdup(names->names[i])};
                if (!p->name)
                        return -ENOMEM;
        }
        return bind_keys(sim, ini, s, first, names->n);
}

/* One pass over the sections of a kind; `make` false only counts. */
static int walk_places(Sim *sim, Ini *ini, const char *kind, bool make, size_t *n) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ini->n_sections; i++) {
                const IniSection *s = &ini->sections[i];
                Names names;
                if (!streq(s->kind, kind))
                        continue;
                if (!s->name[0])
                        return ini_complain(ini, s->line, "[%s] has no name", kind);
                r = names_parse(s->name, &names);
                if (r == -EINVAL)
                        ini_complain(ini, s->line, "[%s %s]: not a name or range", kind, s->name);
                *n += names.n;
                if (r >= 0 && make)
                        r = make_places(sim, ini, s, &names, streq(kind, "Position"));
                names_clear(&names);
        }
        return r;
}

static int read_alarms(Sim *sim, Ini *ini) {
        sim->alarms = calloc(ini->n_sections + 1, sizeof(Alarm));
        if (!sim->alarms)
                return -ENOMEM;
        for (size_t i = 0; i < ini->n_sections; i++) {
                const IniSection *s = &ini->sections[i];
                Refs refs;
                if (!streq(s->kind, "Alarm"))
                        continue;
                Alarm *a = &sim->alarms[sim->n_alarms++];
                *a = (Alarm){.name = strdup(s->name)};
                if (!a->name)
                        return -ENOMEM;
                Input input = {.kind = INPUT_ALARM, .alarm = a};
                bool active = true;
                int r = read_refs(ini, s, "Input", 1, &refs);
                if (r >= 0)
                        r = ini_bool(ini, s, "ActiveWhen", &active);
                if (r >= 0 && refs.n)
                        r = bind_input(sim, ini, ini_key(s, "Input")->line, refs.refs, &input,
                                       ini_key(s, "ActiveWhen") ? &active : NULL);
                refs_clear(&refs);
                if (r < 0)
                        return r;
        }
        return 0;
}

int wiring_read(Sim *sim, Ini *ini) {
        size_t n = 0;
        int r;

        /* Counted first: other parts point at places, so the array must not move while it is filled. */
        if ((r = walk_places(sim, ini, "Slot", false, &n)) < 0 ||
            (r = walk_places(sim, ini, "Position", false, &n)) < 0)
                return r;
        sim->places = calloc(n + 1, sizeof(Place));
        if (!sim->places)
                return -ENOMEM;
        if ((r = walk_places(sim, ini, "Slot", true, &n)) < 0 ||
            (r = walk_places(sim, ini, "Position", true, &n)) < 0)
                return r;
        return read_alarms(sim, ini);
}
