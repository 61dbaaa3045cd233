/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of cabinet.conf that slots refer to: cabinet, sizes, supplies, lines and boards with their
 * profiles. Each section becomes the array element of the same order even after a complaint, so that
 * references to it still resolve. */
#include "base/text.h"
#include "config/array.h"
#include "config/cabinet_draft.h"
#include "config/keys.h"
#include "core/pace.h"
#include "core/supply.h"

#include <errno.h>

typedef struct LineDraft {
        Line line;
        const IniEntry *device;
} LineDraft;

typedef struct BoardDraft {
        Board board;
        const IniEntry *line, *supply, *profile, *outputs, *inputs;
} BoardDraft;

static const KeyChoice parities[] = {{"none", 'N'}, {"even", 'E'}, {"odd", 'O'}, {}};
static const KeyChoice device_sentence[] = {
        {"the path of a tty such as /dev/ttyUSB0, tcp:HOST:PORT, raw-tcp:HOST:PORT, or gpio,", 0}, {}};
static const KeyChoice line_sentence[] = {{"the NAME of a [Line NAME]", 0}, {}};
static const KeyChoice supply_sentence[] = {{"the NAME of a [Supply NAME]", 0}, {}};
static const KeyChoice profile_sentence[] = {{"the name of a .board file without \".board\"", 0}, {}};

static const KeyChoice lines_sentence[] = {{"a list of GPIO lines such as LOCK-[01-12] or gpiochip0:8-15", 0},
                                           {}};
static const KeyChoice biases[] = {{"as-is", GPIO_BIAS_AS_IS},
                                   {"disabled", GPIO_BIAS_DISABLED},
                                   {"pull-up", GPIO_BIAS_PULL_UP},
                                   {"pull-down", GPIO_BIAS_PULL_DOWN},
                                   {}};
static const KeyChoice drives[] = {{"push-pull", GPIO_DRIVE_PUSH_PULL},
                                   {"open-drain", GPIO_DRIVE_OPEN_DRAIN},
                                   {"open-source", GPIO_DRIVE_OPEN_SOURCE},
                                   {}};

static const ConfigKey cabinet_keys[] = {
        /* Part of MQTT topics, where '/', '+' and '#' have a meaning. */
        CONFIG_KEY("Number", key_name, Cabinet, number, .max = 64, .required = true),
        CONFIG_KEY("Name", key_text, Cabinet, name, .min = 1, .max = 128),
        CONFIG_KEY("Address", key_text, Cabinet, address, .min = 1, .max = 180),
        CONFIG_KEY("Latitude", key_degrees, Cabinet, latitude, .max = 90),
        CONFIG_KEY("Longitude", key_degrees, Cabinet, longitude, .max = 180),
        CONFIG_KEY("TimeZone", key_timezone, Cabinet, timezone),
};
static const ConfigKey size_keys[] = {
        CONFIG_KEY("Label", key_text, Size, label, .min = 1, .max = 64),
        CONFIG_KEY("Order", key_unsigned, Size, ordinal, .min = 1, .max = 99, .required = true),
        CONFIG_KEY("Width", key_unsigned, Size, width_mm, .min = 1, .max = 5000),
        CONFIG_KEY("Height", key_unsigned, Size, height_mm, .min = 1, .max = 5000),
        CONFIG_KEY("Depth", key_unsigned, Size, depth_mm, .min = 1, .max = 5000),
};
static const ConfigKey supply_keys[] = {
        CONFIG_KEY("MaxActive", key_unsigned, Supply, max_active, .min = 1, .max = SUPPLY_ACTIVE_MAX),
        CONFIG_KEY("Cooldown", key_msec, Supply, cooldown_ms, .max = 60000),
};
static const ConfigKey line_keys[] = {
        CONFIG_KEY("Device", key_entry, LineDraft, device, .choices = device_sentence, .required = true),
        CONFIG_KEY("Baud", key_choice, LineDraft, line.baud, .choices = baud_rates),
        CONFIG_KEY("Parity", key_choice, LineDraft, line.parity, .choices = parities),
        CONFIG_KEY("StopBits", key_unsigned, LineDraft, line.stop_bits, .min = 1, .max = 2),
        CONFIG_KEY("ResponseTimeout", key_msec, LineDraft, line.response_timeout_ms, .min = 20, .max = 2000),
        CONFIG_KEY("RS485", key_bool, LineDraft, line.rs485),
        CONFIG_KEY("Echo", key_bool, LineDraft, line.echo),
        CONFIG_KEY("SurplusFront", key_unsigned, LineDraft, line.surplus_front, .max = 4),
        CONFIG_KEY("SurplusBack", key_unsigned, LineDraft, line.surplus_back, .max = 4),
};
static const ConfigKey board_keys[] = {
        CONFIG_KEY("Line", key_entry, BoardDraft, line, .choices = line_sentence, .required = true),
        /* Required, but not for GPIO; which ones there are is for the protocol to say: cabinet_gpio.c. */
        CONFIG_KEY("Address", key_unsigned, BoardDraft, board.address, .max = 255),
        CONFIG_KEY("Profile", key_entry, BoardDraft, profile, .choices = profile_sentence, .required = true),
        CONFIG_KEY("Supply", key_entry, BoardDraft, supply, .choices = supply_sentence, .required = true),
        CONFIG_KEY("Outputs", key_entry, BoardDraft, outputs, .choices = lines_sentence),
        CONFIG_KEY("Inputs", key_entry, BoardDraft, inputs, .choices = lines_sentence),
        CONFIG_KEY("InputBias", key_choice, BoardDraft, board.input_bias, .choices = biases),
        CONFIG_KEY("OutputDrive", key_choice, BoardDraft, board.output_drive, .choices = drives),
        CONFIG_KEY("Debounce", key_msec, BoardDraft, board.debounce_ms, .max = 1000),
        CONFIG_KEY("IdlePoll", key_msec, BoardDraft, board.idle_poll_ms, .min = PACE_IDLE_MIN,
                   .max = PACE_IDLE_MAX),
        CONFIG_KEY("ReadBack", key_bool, BoardDraft, board.read_back),
};

static const KeyChoice reader_types[] = {{"uart", false}, {"usb", true}, {}};
static const ConfigKey reader_keys[] = {
        CONFIG_KEY("Device", key_path, IdentityReader, device, .max = 255),
        CONFIG_KEY("Type", key_choice, IdentityReader, usb, .choices = reader_types),
        CONFIG_KEY("Id", key_text, IdentityReader, id, .min = 1, .max = 127),
        CONFIG_KEY("Baud", key_choice, IdentityReader, baud, .choices = baud_rates),
};

/* The NAME of [Kind NAME], checked and copied; NULL only when out of memory. */
static char *section_name(Builder *b, const IniSection *s) {
        if (!name_is_valid(s->name, NAME_LENGTH_MAX))
                complain(b->complaints, s, NULL,
                         "write [%s NAME]; letters, digits, \"-\", \"_\" and \".\" are allowed in the name, "
                         "at most %d",
                         s->kind, NAME_LENGTH_MAX);
        for (const IniSection *first = b->file->sections; first < s; first++)
                if (streq(first->kind, s->kind) && streq(first->name, s->name)) {
                        complain(b->complaints, s, NULL,
                                 "this section already begins in line %u; names must differ", first->line);
                        break;
                }

        char *name = strdup(s->name);
        if (!name)
                complaints_broken(b->complaints, -ENOMEM);
        return name;
}

static void read_size(Builder *b, const IniSection *s) {
        Cabinet *c = b->cabinet;
        Size *size = ARRAY_PUSH(c->sizes, c->n_sizes);

        if (!size) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        size->name = section_name(b, s);
        keys_apply(b->complaints, s, size_keys, ARRAY_SIZE(size_keys), size);
        if (!size->label)
                size->label = strdup(s->name);
        if (!size->label)
                complaints_broken(b->complaints, -ENOMEM);
}

static void read_supply(Builder *b, const IniSection *s) {
        Cabinet *c = b->cabinet;
        Supply *supply = ARRAY_PUSH(c->supplies, c->n_supplies);

        if (!supply) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        supply->name = section_name(b, s);
        supply->max_active = 1;
        keys_apply(b->complaints, s, supply_keys, ARRAY_SIZE(supply_keys), supply);
}

typedef enum LineKeys {
        KEYS_SERIAL = 1,  /* of the line itself, which is behind a converter */
        KEYS_ADAPTER = 2, /* of what stands between */
        KEYS_ASKING = 4,
} LineKeys;

static void refuse_line_keys(Builder *b, const IniSection *s, const char *kind, unsigned refused) {
        static const struct {
                const char *key;
                LineKeys of;
        } keys[] = {{"Baud", KEYS_SERIAL},         {"Parity", KEYS_SERIAL},
                    {"StopBits", KEYS_SERIAL},     {"RS485", KEYS_SERIAL},
                    {"Echo", KEYS_ADAPTER},        {"SurplusFront", KEYS_ADAPTER},
                    {"SurplusBack", KEYS_ADAPTER}, {"ResponseTimeout", KEYS_ASKING}};

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (!(keys[i].of & refused))
                        continue;
                const IniEntry *e = ini_section_find(s, keys[i].key);
                if (e)
                        complain(b->complaints, s, e, "a %s line has no %s; leave it out", kind, keys[i].key);
        }
}

/* HOST:PORT after "tcp:" or "raw-tcp:", where HOST may be an IPv6 address in brackets. */
static void read_tcp(Builder *b, const IniSection *s, const IniEntry *e, LineKind kind, Line *line) {
        const char *host = strchr(e->value, ':') + 1, *colon = strrchr(host, ':');
        size_t n = colon ? (size_t)(colon - host) : 0;
        bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';
        uint64_t port = 0;

        line->kind = kind;
        if (bracketed) {
                host++;
                n -= 2;
        }
        if (n == 0 || n > 253 || (!bracketed && memchr(host, ':', n)) || strcspn(host, " \t/[]") < n ||
            text_to_u64(colon + 1, 65535, &port) < 0 || port == 0)
                complain(b->complaints, s, e,
                         "this is not a TCP endpoint; tcp:HOST:PORT is allowed, such as tcp:192.0.2.7:502 or "
                         "tcp:[::1]:502");
        line->tcp_port = (unsigned)port;
        line->device = strndup(host, n);
        refuse_line_keys(b, s, "TCP", kind == LINE_TCP ? KEYS_SERIAL | KEYS_ADAPTER : KEYS_SERIAL);
}

static void read_device(Builder *b, const IniSection *s, const IniEntry *e, Line *line) {
        if (!e) {
                line->device = strdup(""); /* already reported; never returned */
        } else if (strncmp(e->value, "tcp:", 4) == 0) {
                read_tcp(b, s, e, LINE_TCP, line);
        } else if (strncmp(e->value, "raw-tcp:", 8) == 0) {
                read_tcp(b, s, e, LINE_RAW_TCP, line);
        } else if (streq(e->value, "gpio")) {
                line->kind = LINE_GPIO;
                line->device = strdup(e->value);
                refuse_line_keys(b, s, "GPIO", KEYS_SERIAL | KEYS_ADAPTER | KEYS_ASKING);
        } else {
                line->kind = LINE_SERIAL;
                line->device = strdup(e->value);
                if (e->value[0] != '/')
                        complain(b->complaints, s, e,
                                 "this is neither an absolute path nor tcp:HOST:PORT nor raw-tcp:HOST:PORT "
                                 "nor gpio; an example "
                                 "is /dev/ttyUSB0");
        }
        if (!line->device)
                complaints_broken(b->complaints, -ENOMEM);
}

static void read_line(Builder *b, const IniSection *s) {
        Cabinet *c = b->cabinet;
        LineDraft draft = {.line = {.parity = 'N', .stop_bits = 1, .response_timeout_ms = 200}};
        Line *line = ARRAY_PUSH(c->lines, c->n_lines);

        if (!line) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        draft.line.name = section_name(b, s);
        keys_apply(b->complaints, s, line_keys, ARRAY_SIZE(line_keys), &draft);
        read_device(b, s, draft.device, &draft.line);
        *line = draft.line;
}

static int load_profile(Builder *b, const IniSection *s, const IniEntry *e) {
        Cabinet *c = b->cabinet;
        _cleanup_free_ char *path = NULL, *data = NULL;
        size_t size = 0;

        if (!name_is_valid(e->value, NAME_LENGTH_MAX)) {
                complain(b->complaints, s, e,
                         "this cannot be the name of a profile; letters, digits, \"-\", \"_\" and \".\" are "
                         "allowed");
                return -1;
        }
        for (int i = 0; i < c->n_profiles; i++)
                if (streq(c->profiles[i].name, e->value))
                        return i;

        int r = b->source->load(b->source->userdata, e->value, &path, &data, &size);
        if (r == -ENOMEM) {
                complaints_broken(b->complaints, r);
                return -1;
        }
        if (r < 0) {
                complain(b->complaints, s, e, "the profile %s.board cannot be read from %s: %s", e->value,
                         b->source->place, strerror(-r));
                return -1;
        }
        BoardProfile *profile = ARRAY_PUSH(c->profiles, c->n_profiles);
        if (!profile) {
                complaints_broken(b->complaints, -ENOMEM);
                return -1;
        }
        board_profile_parse(b->complaints, e->value, path, data, size, profile);
        if (!profile->name) { /* out of memory: nothing may compare with it */
                free(profile->title);
                c->n_profiles--;
                return -1;
        }
        return c->n_profiles - 1;
}

/* The index of the section of this kind that the entry names, or -1 and a complaint. Works on sections,
 * because the named one may come later in the file. */
static int resolve_section(Builder *b, const IniSection *s, const IniEntry *e, const char *kind) {
        Suggestion suggestion = {.typed = e->value};
        int index = 0;

        for (size_t i = 0; i < b->file->n_sections; i++) {
                const IniSection *other = &b->file->sections[i];
                if (!streq(other->kind, kind))
                        continue;
                if (streq(other->name, e->value))
                        return index;
                suggestion_offer(&suggestion, other->name);
                index++;
        }
        complain(b->complaints, s, e, "there is no [%s %s]" SUGGESTION_FORMAT, kind, e->value,
                 SUGGESTION_ARGS(suggestion));
        return -1;
}

static void read_board(Builder *b, const IniSection *s) {
        Cabinet *c = b->cabinet;
        BoardDraft draft = {.board = {.line = -1,
                                      .supply = -1,
                                      .profile = -1,
                                      .idle_poll_ms = PACE_IDLE_DEFAULT,
                                      .read_back = true}};
        GpioRefs outputs = {}, inputs = {};
        Board *board = ARRAY_PUSH(c->boards, c->n_boards);

        if (!board) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        draft.board.name = section_name(b, s);
        keys_apply(b->complaints, s, board_keys, ARRAY_SIZE(board_keys), &draft);
        if (draft.line)
                draft.board.line = resolve_section(b, s, draft.line, "Line");
        if (draft.supply)
                draft.board.supply = resolve_section(b, s, draft.supply, "Supply");
        if (draft.profile)
                draft.board.profile = load_profile(b, s, draft.profile);
        if (draft.board.profile >= 0 && !ini_section_find(s, "Debounce") &&
            c->profiles[draft.board.profile].protocol == BOARD_GPIO)
                draft.board.debounce_ms = GPIO_DEBOUNCE_DEFAULT;
        if (draft.outputs)
                builder_read_gpio(b, s, draft.outputs, &outputs);
        if (draft.inputs)
                builder_read_gpio(b, s, draft.inputs, &inputs);
        draft.board.outputs = outputs.refs;
        draft.board.n_outputs = outputs.n;
        draft.board.inputs = inputs.refs;
        draft.board.n_inputs = inputs.n;
        *board = draft.board;
}

/* A serial reader is known by its device, one at USB by itself. */
static void check_reader(Builder *b, const IniSection *s, const IdentityReader *reader) {
        static const char *const serial[] = {"Device", "Baud"};

        if (!reader->usb && !ini_section_find(s, "Device"))
                complain(b->complaints, s, NULL, "Device= is missing and required; the path of a tty");
        if (!reader->usb && reader->id)
                complain(b->complaints, s, ini_section_find(s, "Id"), "Id= is for Type=usb");
        for (size_t i = 0; reader->usb && i < ARRAY_SIZE(serial); i++)
                if (ini_section_find(s, serial[i]))
                        complain(b->complaints, s, ini_section_find(s, serial[i]),
                                 "%s= is for Type=uart; a reader at USB has none", serial[i]);
}

/* Its name is what it reads. */
static void read_reader(Builder *b, const IniSection *s) {
        Cabinet *c = b->cabinet;
        IdentityReader draft = {.kind = credential_kind_from_string(s->name, strlen(s->name)), .baud = 57600};
        Suggestion suggestion = {.typed = s->name};

        if (draft.kind == CREDENTIAL_NONE || !credential_has_reader(draft.kind)) {
                unsigned kinds = 0;
                char names[80];

                for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                        if (credential_has_reader(k)) {
                                suggestion_offer(&suggestion, credential_kind_to_string(k));
                                kinds |= credential_bit(k);
                        }
                credential_names(kinds, " and ", names, sizeof(names));
                complain(b->complaints, s, NULL,
                         "there is no such reader" SUGGESTION_FORMAT
                         "; [Reader KIND] is allowed of the kinds %s",
                         SUGGESTION_ARGS(suggestion), names);
                return;
        }
        for (int i = 0; i < c->n_readers; i++)
                if (c->readers[i].kind == draft.kind) {
                        complain(b->complaints, s, NULL,
                                 "this cabinet has such a reader already; one of a kind is allowed");
                        return;
                }
        if (draft.kind == CREDENTIAL_FACE)
                builder_read_face(b, s, &draft);
        else if (draft.kind == CREDENTIAL_VOICE)
                builder_read_voice(b, s, &draft);
        else {
                keys_apply(b->complaints, s, reader_keys, ARRAY_SIZE(reader_keys), &draft);
                check_reader(b, s, &draft);
        }
        IdentityReader *reader = ARRAY_PUSH(c->readers, c->n_readers);
        if (!reader) {
                free(draft.device);
                free(draft.id);
                free(draft.setup);
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        *reader = draft;
        for (int i = 0; reader->device && i < c->n_lines; i++)
                if (c->lines[i].device && streq(c->lines[i].device, reader->device))
                        complain(b->complaints, s, ini_section_find(s, "Device"),
                                 "[Line %s] has the same device; a reader needs one of its own",
                                 c->lines[i].name);
}

static void read_cabinet_section(Builder *b, const IniSection *s) {
        const IniSection *first = ini_file_section(b->file, "Cabinet", 0);

        if (*s->name)
                complain(b->complaints, s, NULL, "this section has no name; write [Cabinet]");
        if (s != first)
                complain(b->complaints, s, NULL, "this section already begins in line %u; once is allowed",
                         first->line);
        else
                keys_apply(b->complaints, s, cabinet_keys, ARRAY_SIZE(cabinet_keys), b->cabinet);
}

void builder_read_parts(Builder *b) {
        static const struct {
                const char *kind;
                void (*read)(Builder *b, const IniSection *s);
        } kinds[] = {
                {"Cabinet", read_cabinet_section},
                {"Size", read_size},
                {"Supply", read_supply},
                {"Line", read_line},
                {"Board", read_board},
                {"Slot", NULL},
                {"Position", NULL},
                {"Alarm", NULL},
                {"Reader", NULL},
        };

        for (size_t i = 0; i < b->file->n_sections; i++) {
                const IniSection *s = &b->file->sections[i];
                Suggestion suggestion = {.typed = s->kind};
                size_t k = 0;

                while (k < ARRAY_SIZE(kinds) && !streq(kinds[k].kind, s->kind))
                        suggestion_offer(&suggestion, kinds[k++].kind);
                if (k == ARRAY_SIZE(kinds))
                        complain(b->complaints, s, NULL,
                                 "there is no such section" SUGGESTION_FORMAT
                                 "; Cabinet, Size, Supply, Line, Board, Slot, Position, Alarm and Reader are "
                                 "allowed",
                                 SUGGESTION_ARGS(suggestion));
                else if (kinds[k].read)
                        kinds[k].read(b, s);
        }
        /* When all lines are known: no reader has a line's device. */
        for (size_t i = 0; i < b->file->n_sections; i++)
                if (streq(b->file->sections[i].kind, "Reader"))
                        read_reader(b, &b->file->sections[i]);
        if (!ini_file_section(b->file, "Cabinet", 0))
                complain_at(b->complaints, b->file->path, 0, "[Cabinet] is missing and required");
        builder_check_gpio(b); /* now that all lines are known */
}
