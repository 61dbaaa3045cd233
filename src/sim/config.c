/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/config.h"
#include "base/text.h"
#include "sim/language.h"
#include "sim/profile.h"
#include "sim/wiring.h"

#include <errno.h>

static size_t count(const Ini *ini, const char *kind) {
        size_t n = 0;

        for (size_t i = 0; i < ini->n_sections; i++)
                n += streq(ini->sections[i].kind, kind);
        return n;
}

/* Walks the sections of one kind. */
static const IniSection *next_of(const Ini *ini, const char *kind, size_t *i) {
        while (*i < ini->n_sections) {
                const IniSection *s = &ini->sections[(*i)++];
                if (streq(s->kind, kind))
                        return s;
        }
        return NULL;
}

static int read_supplies(Sim *sim, Ini *ini) {
        const IniSection *s;
        int r;

        sim->supplies = calloc(count(ini, "Supply") + 1, sizeof(Supply));
        if (!sim->supplies)
                return -ENOMEM;
        for (size_t i = 0; (s = next_of(ini, "Supply", &i));) {
                Supply *supply = &sim->supplies[sim->n_supplies++];
                *supply = (Supply){.name = strdup(s->name), .max_active = 1};
                if (!supply->name)
                        return -ENOMEM;
                if ((r = ini_uint(ini, s, "MaxActive", 1, 1000, &supply->max_active)) < 0 ||
                    (r = ini_nsec(ini, s, "Cooldown", &supply->cooldown)) < 0)
                        return r;
        }
        return 0;
}

static int read_device(Line *line, Ini *ini, const IniKey *device) {
        const char *colon;
        uint64_t port;

        line->fd = -1;
        if (streq(device->value, "gpio"))
                line->ignored = true;
        line->raw = strncmp(device->value, "raw-tcp:", 8) == 0;
        line->tcp = line->raw || strncmp(device->value, "tcp:", 4) == 0;
        if (!line->tcp)
                return (line->device = strdup(device->value)) ? 0 : -ENOMEM;
        const char *host = device->value + (line->raw ? 8 : 4);
        colon = strrchr(host, ':');
        if (!colon || colon == host || text_to_u64(colon + 1, 65535, &port) < 0)
                return ini_complain(ini, device->line,
                                    "Device=%s: tcp:HOST:PORT or raw-tcp:HOST:PORT is wanted", device->value);
        line->tcp_port = (unsigned)port;
        line->device = strndup(host, (size_t)(colon - host));
        return line->device ? 0 : -ENOMEM;
}

static int read_lines(Sim *sim, Ini *ini) {
        static const char *const parities[] = {"none", "even", "odd"};
        const IniSection *s;
        int r;

        sim->lines = calloc(count(ini, "Line") + 1, sizeof(Line));
        if (!sim->lines)
                return -ENOMEM;
        for (size_t i = 0; (s = next_of(ini, "Line", &i));) {
                Line *line = &sim->lines[sim->n_lines++];
                const IniKey *device = ini_key(s, "Device");
                unsigned parity = 0;
                *line = (Line){.sim = sim, .fd = -1, .name = strdup(s->name), .stop_bits = 1};
                if (!line->name)
                        return -ENOMEM;
                if (!device)
                        return ini_complain(ini, s->line, "[Line %s] has no Device=", s->name);
                if ((r = read_device(line, ini, device)) < 0 ||
                    (r = ini_uint(ini, s, "Baud", 300, 4000000, &line->baud)) < 0 ||
                    (r = ini_word(ini, s, "Parity", parities, ARRAY_SIZE(parities), &parity)) < 0 ||
                    (r = ini_uint(ini, s, "StopBits", 1, 2, &line->stop_bits)) < 0)
                        return r;
                line->parity = parity != 0;
        }
        return 0;
}

/* When all boards are known: what a line does not say is as its boards come. */
static void settle_lines(Sim *sim) {
        for (size_t i = 0; i < sim->n_lines; i++) {
                Line *line = &sim->lines[i];
                if (!line->baud)
                        line->baud = 9600;
                line->char_time = (9 + line->parity + line->stop_bits) * NSEC_PER_SEC / line->baud;
                line->silence = line->baud > 19200 ? 1750 * NSEC_PER_USEC : line->char_time * 7 / 2;
        }
}

static int find_profile(Sim *sim, const char *boards, const char *name, const Profile **ret,
                        char **ret_complaint) {
        Ini ini = {0};

        for (size_t i = 0; i < sim->n_profiles; i++)
                if (streq(sim->profiles[i].name, name)) {
                        *ret = &sim->profiles[i];
                        return 0;
                }
        Profile *p = &sim->profiles[sim->n_profiles++];
        int r = profile_read(p, boards, name, &ini);
        *ret_complaint = steal_ptr(ini.complaint);
        ini_clear(&ini);
        *ret = p;
        return r;
}

static int make_channels(Sim *sim, Board *b) {
        b->coils = calloc(b->profile->outputs + 1, sizeof(Coil));
        b->inputs = calloc(b->profile->inputs + 1, sizeof(Input));
        if (!b->coils || !b->inputs)
                return -ENOMEM;
        for (unsigned c = 0; c < b->profile->outputs; c++)
                b->coils[c] = (Coil){.sim = sim, .board = b, .index = c};
        for (unsigned i = 0; i < b->profile->inputs; i++)
                b->inputs[i].common = &b->common;
        return 0;
}

static int read_board(Sim *sim, Ini *ini, const IniSection *s, const char *boards, char **ret_complaint) {
        const IniKey *line = ini_key(s, "Line"), *supply = ini_key(s, "Supply"),
                     *profile = ini_key(s, "Profile");
        Board *b = &sim->boards[sim->n_boards++];
        int r;

        *b = (Board){.name = strdup(s->name), .configured_address = 1};
        if (!b->name)
                return -ENOMEM;
        if (!line || !(b->line = sim_line(sim, line->value)))
                return ini_complain(ini, line ? line->line : s->line, "[Board %s] is on no known line",
                                    s->name);
        if (!profile)
                return ini_complain(ini, s->line, "[Board %s] has no Profile=", s->name);
        for (size_t i = 0; supply && i < sim->n_supplies; i++)
                if (streq(sim->supplies[i].name, supply->value))
                        b->supply = &sim->supplies[i];
        if (supply && !b->supply)
                return ini_complain(ini, supply->line, "Supply=%s: there is no such [Supply]", supply->value);
        if ((r = ini_uint(ini, s, "Address", 0, 247, &b->configured_address)) < 0 ||
            (r = find_profile(sim, boards, profile->value, &b->profile, ret_complaint)) < 0)
                return r;
        b->address = b->configured_address;
        if (!b->profile->language)
                b->line->ignored = true;
        else if (b->line->language && b->line->language != b->profile->language)
                return ini_complain(ini, s->line, "[Board %s] speaks %s, and others of its line speak %s",
                                    s->name, b->profile->language->name, b->line->language->name);
        b->line->language = b->profile->language;
        if (!b->line->baud)
                b->line->baud = b->profile->baud;
        return make_channels(sim, b);
}

static int read_boards(Sim *sim, Ini *ini, const char *boards, char **ret_complaint) {
        size_t n = count(ini, "Board");
        const IniSection *s;

        sim->boards = calloc(n + 1, sizeof(Board));
        sim->profiles = calloc(n + 1, sizeof(Profile));
        if (!sim->boards || !sim->profiles)
                return -ENOMEM;
        for (size_t i = 0; (s = next_of(ini, "Board", &i));) {
                int r = read_board(sim, ini, s, boards, ret_complaint);
                if (r < 0)
                        return r;
        }
        settle_lines(sim);
        return 0;
}

static bool has_line(const Sim *sim) {
        for (size_t i = 0; i < sim->n_lines; i++)
                if (!sim->lines[i].ignored)
                        return true;
        return false;
}

int model_read(Sim *sim, const char *cabinet, const char *boards, char **ret_complaint) {
        Ini ini;
        int r;

        *ret_complaint = NULL;
        if ((r = ini_load(&ini, cabinet)) >= 0 && (r = read_supplies(sim, &ini)) >= 0 &&
            (r = read_lines(sim, &ini)) >= 0 && (r = read_boards(sim, &ini, boards, ret_complaint)) >= 0)
                r = wiring_read(sim, &ini);
        if (r >= 0 && !has_line(sim))
                r = ini_complain(
                        &ini, 0,
                        "there is no [Line] to simulate; GPIO lines are played by the kernel's gpio-sim");
        if (r < 0 && !*ret_complaint)
                *ret_complaint = ini.complaint ? steal_ptr(ini.complaint)
                                               : text_printf("%s: %s", cabinet, strerror(-r));
        ini_clear(&ini);
        return r;
}

void model_clear(Sim *s) {
        for (size_t i = 0; i < s->n_boards; i++) {
                free(s->boards[i].name);
                free(s->boards[i].coils);
                free(s->boards[i].inputs);
        }
        for (size_t i = 0; i < s->n_profiles; i++)
                profile_clear(&s->profiles[i]);
        for (size_t i = 0; i < s->n_supplies; i++)
                free(s->supplies[i].name);
        for (size_t i = 0; i < s->n_lines; i++) {
                free(s->lines[i].name);
                free(s->lines[i].device);
        }
        for (size_t i = 0; i < s->n_places; i++)
                free(s->places[i].name);
        for (size_t i = 0; i < s->n_alarms; i++)
                free(s->alarms[i].name);
        free(s->boards);
        free(s->profiles);
        free(s->supplies);
        free(s->lines);
        free(s->places);
        free(s->alarms);
}
