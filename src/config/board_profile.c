/* SPDX-License-Identifier: Apache-2.0 */
/* A .board file: the data sheet of a board. One table a section, then the checks across keys. */
#include "config/keys.h"
#include "config/parse.h"
#include "config/ranges.h"
#include "core/protocol.h"

#include <errno.h>

#define PULSE_MS_MAX     10000
#define FLASH_UNITS_MAX  0x7FFF /* the largest flash time that known boards take */
#define MODBUS_ADDRESSES 0x10000u

static const KeyChoice protocols[] = {{"modbus", BOARD_MODBUS},
                                      {"gpio", BOARD_GPIO},
                                      {"kerong", BOARD_KERONG},
                                      {"winnsen", BOARD_WINNSEN},
                                      {}};
static const KeyChoice unlock_methods[] = {
        {"flash", UNLOCK_FLASH}, {"trigger", UNLOCK_TRIGGER}, {"pulse", UNLOCK_PULSE}, {}};
static const KeyChoice all_off_methods[] = {
        {"none", ALL_OFF_NONE}, {"coil", ALL_OFF_COIL}, {"each", ALL_OFF_EACH}, {}};
static const KeyChoice coil_functions[] = {{"0", 0}, {"1", 1}, {}};
static const KeyChoice input_functions[] = {{"0", 0}, {"1", 1}, {"2", 2}, {}};
static const KeyChoice identify_functions[] = {{"0", 0}, {"3", 3}, {"4", 4}, {}};

static const ConfigKey board_keys[] = {
        CONFIG_KEY("Title", key_text, BoardProfile, title, .min = 1, .max = 120),
        CONFIG_KEY("Protocol", key_choice, BoardProfile, protocol, .choices = protocols),
        CONFIG_KEY("Outputs", key_unsigned, BoardProfile, outputs, .max = CHANNEL_MAX, .required = true),
        CONFIG_KEY("Inputs", key_unsigned, BoardProfile, inputs, .max = CHANNEL_MAX, .required = true),
        CONFIG_KEY("Baud", key_choice, BoardProfile, default_baud, .choices = baud_rates),
        CONFIG_KEY("FactoryAddress", key_number, BoardProfile, factory_address, .max = 255),
};
static const ConfigKey unlock_keys[] = {
        CONFIG_KEY("Method", key_choice, BoardProfile, unlock, .choices = unlock_methods, .required = true),
        CONFIG_KEY("CoilBase", key_u16, BoardProfile, coil_base, .max = UINT16_MAX),
        CONFIG_KEY("OnValue", key_u16, BoardProfile, on_value, .max = UINT16_MAX),
        CONFIG_KEY("OffValue", key_u16, BoardProfile, off_value, .max = UINT16_MAX),
        CONFIG_KEY("FlashBase", key_u16, BoardProfile, flash_base, .max = UINT16_MAX),
        CONFIG_KEY("FlashUnit", key_msec, BoardProfile, flash_unit_ms, .min = 1, .max = 1000),
        CONFIG_KEY("Pulse", key_msec, BoardProfile, pulse_ms, .min = 10, .max = PULSE_MS_MAX,
                   .required = true),
        CONFIG_KEY("MinPulse", key_msec, BoardProfile, min_pulse_ms, .min = 10, .max = PULSE_MS_MAX),
        CONFIG_KEY("MaxPulse", key_msec, BoardProfile, max_pulse_ms, .min = 10, .max = PULSE_MS_MAX),
};
static const ConfigKey all_off_keys[] = {
        CONFIG_KEY("Method", key_choice, BoardProfile, all_off, .choices = all_off_methods, .required = true),
        CONFIG_KEY("Address", key_u16, BoardProfile, all_off_address, .max = UINT16_MAX),
        CONFIG_KEY("Value", key_u16, BoardProfile, all_off_value, .max = UINT16_MAX),
};
static const ConfigKey coils_keys[] = {
        CONFIG_KEY("Function", key_choice, BoardProfile, coil_function, .choices = coil_functions),
};
static const ConfigKey inputs_keys[] = {
        CONFIG_KEY("Function", key_choice, BoardProfile, input_function, .choices = input_functions),
        CONFIG_KEY("Base", key_u16, BoardProfile, input_base, .max = UINT16_MAX),
        CONFIG_KEY("Active", key_bool, BoardProfile, input_active),
};
static const ConfigKey identify_keys[] = {
        CONFIG_KEY("Function", key_choice, BoardProfile, identify_function, .choices = identify_functions),
        CONFIG_KEY("Address", key_u16, BoardProfile, identify_address, .max = UINT16_MAX),
        CONFIG_KEY("Minimum", key_u16, BoardProfile, identify_min, .max = UINT16_MAX),
        CONFIG_KEY("Maximum", key_u16, BoardProfile, identify_max, .max = UINT16_MAX),
        CONFIG_KEY("Limit", key_bool, BoardProfile, identify_limit),
};

static const struct {
        const char *kind;
        const ConfigKey *keys;
        size_t n_keys;
} sections[] = {
        {"Board", board_keys, ARRAY_SIZE(board_keys)},
        {"Unlock", unlock_keys, ARRAY_SIZE(unlock_keys)},
        {"AllOff", all_off_keys, ARRAY_SIZE(all_off_keys)},
        {"Coils", coils_keys, ARRAY_SIZE(coils_keys)},
        {"Inputs", inputs_keys, ARRAY_SIZE(inputs_keys)},
        {"Identify", identify_keys, ARRAY_SIZE(identify_keys)},
};

/* The place that a complaint about a missing or conflicting key names: the entry, else its section,
 * else the file. */
static const IniEntry *find(const IniFile *f, const char *kind, const char *key) {
        const IniSection *s = ini_file_section(f, kind, 0);

        return s ? ini_section_find(s, key) : NULL;
}

#define COMPLAIN(c, f, kind, key, ...)                                            \
        ({                                                                        \
                const IniSection *_s = ini_file_section((f), (kind), 0);          \
                if (_s)                                                           \
                        complain((c), _s, find((f), (kind), (key)), __VA_ARGS__); \
                else                                                              \
                        complain_at((c), (f)->path, 0, __VA_ARGS__);              \
        })

static void read_sections(Complaints *c, const IniFile *f, BoardProfile *p) {
        for (size_t i = 0; i < f->n_sections; i++) {
                const IniSection *s = &f->sections[i], *first = ini_file_section(f, s->kind, 0);
                Suggestion suggestion = {.typed = s->kind};
                size_t k = 0;

                while (k < ARRAY_SIZE(sections) && !streq(sections[k].kind, s->kind))
                        suggestion_offer(&suggestion, sections[k++].kind);
                if (k == ARRAY_SIZE(sections))
                        complain(c, s, NULL, "there is no such section in a board file" SUGGESTION_FORMAT,
                                 SUGGESTION_ARGS(suggestion));
                else if (*s->name)
                        complain(c, s, NULL, "this section has no name; write [%s]", s->kind);
                else if (first != s)
                        complain(c, s, NULL, "this section already begins in line %u; once is allowed",
                                 first->line);
                else
                        keys_apply(c, s, sections[k].keys, sections[k].n_keys, p);
        }
}

static void check_flash(Complaints *c, const IniFile *f, const BoardProfile *p) {
        if (!find(f, "Unlock", "FlashBase"))
                COMPLAIN(c, f, "Unlock", "Method", "FlashBase= is missing; Method=flash needs it");
        if (!p->flash_unit_ms) {
                COMPLAIN(c, f, "Unlock", "Method", "FlashUnit= is missing; Method=flash needs it");
                return;
        }

        const struct {
                const char *key;
                unsigned ms;
        } pulses[] = {{"Pulse", p->pulse_ms}, {"MinPulse", p->min_pulse_ms}, {"MaxPulse", p->max_pulse_ms}};
        for (size_t i = 0; i < ARRAY_SIZE(pulses); i++)
                if (pulses[i].ms % p->flash_unit_ms != 0)
                        COMPLAIN(c, f, "Unlock", pulses[i].key,
                                 "%s=%ums is not a multiple of FlashUnit; multiples of %ums are allowed",
                                 pulses[i].key, pulses[i].ms, p->flash_unit_ms);
        if (p->max_pulse_ms / p->flash_unit_ms > FLASH_UNITS_MAX)
                COMPLAIN(c, f, "Unlock", "MaxPulse", "this is more than 0x7FFF times FlashUnit");
        if (p->flash_base + p->outputs > MODBUS_ADDRESSES)
                COMPLAIN(c, f, "Unlock", "FlashBase", "the last of %u outputs would lie beyond 0xFFFF",
                         p->outputs);
}

static void check_unlock(Complaints *c, const IniFile *f, const BoardProfile *p) {
        if (!find(f, "Unlock", "Method") || !p->pulse_ms)
                return; /* already complained about */
        if (p->min_pulse_ms > p->pulse_ms || p->pulse_ms > p->max_pulse_ms)
                COMPLAIN(c, f, "Unlock", "Pulse",
                         "the pulse is not between MinPulse (%ums) and MaxPulse (%ums)", p->min_pulse_ms,
                         p->max_pulse_ms);
        if (p->coil_base + p->outputs > MODBUS_ADDRESSES)
                COMPLAIN(c, f, "Unlock", "CoilBase", "the last of %u outputs would lie beyond 0xFFFF",
                         p->outputs);

        switch (p->unlock) {
        case UNLOCK_FLASH:
                check_flash(c, f, p);
                break;
        case UNLOCK_TRIGGER:
                if (p->min_pulse_ms != p->pulse_ms || p->max_pulse_ms != p->pulse_ms)
                        COMPLAIN(c, f, "Unlock", "Method",
                                 "the board makes its own pulse; MinPulse and MaxPulse must equal Pulse or "
                                 "be left out");
                break;
        case UNLOCK_PULSE:
                if (p->on_value == p->off_value)
                        COMPLAIN(c, f, "Unlock", "OnValue",
                                 "OnValue and OffValue are the same; they must differ");
                /* A worker that dies during a pulse leaves the coil on: the next one must be able to
                 * switch it off. */
                if (p->all_off == ALL_OFF_NONE)
                        COMPLAIN(c, f, "AllOff", "Method",
                                 "Method=pulse in [Unlock] needs a way to switch off; each or coil is "
                                 "allowed");
                break;
        }
}

static void check_all_off(Complaints *c, const IniFile *f, const BoardProfile *p) {
        bool address = find(f, "AllOff", "Address") != NULL, value = find(f, "AllOff", "Value") != NULL;

        if (p->all_off == ALL_OFF_COIL && !address)
                COMPLAIN(c, f, "AllOff", "Method", "Address= is missing; Method=coil needs it");
        if (p->all_off != ALL_OFF_COIL && (address || value))
                COMPLAIN(c, f, "AllOff", address ? "Address" : "Value", "this key belongs to Method=coil");
}

static void check_inputs(Complaints *c, const IniFile *f, const BoardProfile *p) {
        if (p->inputs > 0 && p->input_function == 0)
                COMPLAIN(c, f, "Inputs", "Function",
                         "a board with inputs needs a way to read them; 1 or 2 is allowed");
        if (p->inputs == 0 && p->input_function != 0)
                COMPLAIN(c, f, "Inputs", "Function", "the board has no inputs (Inputs=0); 0 is allowed");
        /* One more address is probed when Limit=yes. */
        if (p->input_base + p->inputs + (p->identify_limit ? 1 : 0) > MODBUS_ADDRESSES)
                COMPLAIN(c, f, "Inputs", "Base", "the last of %u inputs would lie beyond 0xFFFF", p->inputs);
        if (p->outputs == 0 && p->coil_function != 0)
                COMPLAIN(c, f, "Coils", "Function", "the board has no outputs (Outputs=0); 0 is allowed");
}

static void check_identify(Complaints *c, const IniFile *f, const BoardProfile *p) {
        static const char *const keys[] = {"Address", "Minimum", "Maximum"};

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                const IniEntry *e = find(f, "Identify", keys[i]);
                if (p->identify_function != 0 && !e)
                        COMPLAIN(c, f, "Identify", "Function", "%s= is missing; Function=%u needs it",
                                 keys[i], p->identify_function);
                if (p->identify_function == 0 && e)
                        COMPLAIN(c, f, "Identify", keys[i], "this key needs Function=3 or Function=4");
        }
        if (find(f, "Identify", "Maximum") && p->identify_min > p->identify_max)
                COMPLAIN(c, f, "Identify", "Minimum", "Minimum is larger than Maximum (0x%04X)",
                         p->identify_max);
        if (p->identify_limit && p->inputs == 0)
                COMPLAIN(c, f, "Identify", "Limit",
                         "a board without inputs has no limit to probe; no is allowed");
}

typedef const char *const AllowedKey[2];

static bool is_allowed(const AllowedKey *allowed, size_t n, const char *section, const char *key) {
        for (size_t i = 0; i < n; i++)
                if (streq(allowed[i][0], section) && streq(allowed[i][1], key))
                        return true;
        return false;
}

static void check_allowed(Complaints *c, const IniFile *f, const BoardProfile *p, const AllowedKey *allowed,
                          size_t n) {
        for (size_t i = 0; i < f->n_sections; i++)
                for (size_t j = 0; j < f->sections[i].n_entries; j++) {
                        const IniSection *s = &f->sections[i];
                        if (!is_allowed(allowed, n, s->kind, s->entries[j].key))
                                complain(c, s, &s->entries[j],
                                         "this key means nothing for Protocol=%s; leave it out",
                                         protocol_of(p->protocol)->name);
                }
}

/* Lines have neither addresses nor functions, and only the worker ends a pulse. */
static void check_gpio(Complaints *c, const IniFile *f, const BoardProfile *p) {
        static const AllowedKey allowed[] = {
                {"Board", "Title"},     {"Board", "Protocol"},  {"Board", "Outputs"},
                {"Board", "Inputs"},    {"Unlock", "Method"},   {"Unlock", "Pulse"},
                {"Unlock", "MinPulse"}, {"Unlock", "MaxPulse"}, {"Inputs", "Active"},
        };

        check_allowed(c, f, p, allowed, ARRAY_SIZE(allowed));
        if (p->outputs > 0 && p->unlock != UNLOCK_PULSE)
                COMPLAIN(c, f, "Unlock", "Method",
                         "GPIO lines have no timing of their own; pulse is allowed");
}

/* Protocols that say no more than "unlock" and "what is your state". */
static void check_fixed_requests(Complaints *c, const IniFile *f, const BoardProfile *p) {
        static const AllowedKey allowed[] = {
                {"Board", "Title"},     {"Board", "Protocol"}, {"Board", "Outputs"},
                {"Board", "Inputs"},    {"Board", "Baud"},     {"Board", "FactoryAddress"},
                {"Unlock", "Method"},   {"Unlock", "Pulse"},   {"Unlock", "MinPulse"},
                {"Unlock", "MaxPulse"}, {"Inputs", "Active"},
        };

        check_allowed(c, f, p, allowed, ARRAY_SIZE(allowed));
        if (p->outputs > 0 && p->unlock != UNLOCK_TRIGGER)
                COMPLAIN(c, f, "Unlock", "Method",
                         "a board that speaks %s makes a pulse of its own length; trigger is allowed",
                         protocol_of(p->protocol)->name);
}

static void check_protocol(Complaints *c, const IniFile *f, const BoardProfile *p) {
        const Protocol *protocol = protocol_of(p->protocol);

        if (p->protocol == BOARD_GPIO)
                check_gpio(c, f, p);
        if (protocol->fixed_requests)
                check_fixed_requests(c, f, p);
        if (p->outputs > protocol->outputs_max)
                COMPLAIN(c, f, "Board", "Outputs", "a board that speaks %s has at most %u", protocol->name,
                         protocol->outputs_max);
        if (p->inputs > protocol->inputs_max)
                COMPLAIN(c, f, "Board", "Inputs", "a board that speaks %s has at most %u", protocol->name,
                         protocol->inputs_max);
        if (protocol->inputs_equal_outputs && p->inputs != p->outputs)
                COMPLAIN(c, f, "Board", "Inputs",
                         "a board that speaks %s tells the state of each lock and nothing else; %u is "
                         "allowed, as "
                         "Outputs says",
                         protocol->name, p->outputs);
        if (p->factory_address >= 0 && ((unsigned)p->factory_address < protocol->address_min ||
                                        (unsigned)p->factory_address > protocol->address_max))
                COMPLAIN(
                        c, f, "Board", "FactoryAddress",
                        "a board that speaks %s has no such address; a whole number from %u to %u is allowed",
                        protocol->name, protocol->address_min, protocol->address_max);
}

static void fill_defaults(const IniFile *f, BoardProfile *p) {
        if (!find(f, "Unlock", "MinPulse"))
                p->min_pulse_ms = p->pulse_ms;
        if (!find(f, "Unlock", "MaxPulse"))
                p->max_pulse_ms = p->pulse_ms;
        if (!find(f, "AllOff", "Method"))
                p->all_off = p->unlock == UNLOCK_PULSE && p->outputs > 0 ? ALL_OFF_EACH : ALL_OFF_NONE;
        if (!find(f, "Inputs", "Function") && p->protocol == BOARD_MODBUS)
                p->input_function = p->inputs > 0 ? 2 : 0;
}

void board_profile_parse(Complaints *c, const char *name, const char *path, const char *data, size_t size,
                         BoardProfile *profile) {
        _cleanup_(ini_file_freep) IniFile *f = ini_file_parse(c, path, data, size);
        size_t before = c->n;

        *profile = (BoardProfile){
                .name = strdup(name),
                .on_value = 0xFF00,
                .input_active = true,
                .factory_address = -1,
                .default_baud = 9600,
        };
        if (!f || !profile->name) {
                complaints_broken(c, -ENOMEM);
                return;
        }
        read_sections(c, f, profile);
        if (!profile->title) {
                profile->title = strdup(name);
                if (!profile->title)
                        complaints_broken(c, -ENOMEM);
        }
        if (!ini_file_section(f, "Board", 0))
                complain_at(c, f->path, 0, "[Board] is missing and required");
        if (c->n > before)
                return; /* the checks across keys need all of them */

        fill_defaults(f, profile);
        if (profile->outputs + profile->inputs == 0)
                COMPLAIN(c, f, "Board", "Outputs", "a board with neither outputs nor inputs is of no use");
        if (profile->outputs > 0 && !ini_file_section(f, "Unlock", 0))
                complain_at(c, f->path, 0, "[Unlock] is missing and required for a board with outputs");
        check_protocol(c, f, profile);
        if (profile->outputs > 0)
                check_unlock(c, f, profile);
        if (profile->protocol != BOARD_MODBUS)
                return; /* the rest is about the addresses and functions of Modbus */
        check_all_off(c, f, profile);
        check_inputs(c, f, profile);
        check_identify(c, f, profile);
}
