/* SPDX-License-Identifier: Apache-2.0 */
/* GPIO lines: lists such as "LOCK-[01-12] !gpiochip0:8-15", and the match of board and line types.
 * Whether a line or chip exists is not checked here: drivers load and unload at run time. */
#include "base/text.h"
#include "config/array.h"
#include "config/cabinet_draft.h"
#include "core/protocol.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define GPIO_NAME_MAX   31 /* what the kernel tells of a name */
#define GPIO_OFFSET_MAX 1023
#define GPIO_SEPARATORS " \t,"

#define NUMBER_DIGITS_MAX 4

typedef struct Numbers {
        unsigned first, last;
        int width; /* digits with zero padding; 0: none */
} Numbers;

typedef struct RefList {
        Builder *b;
        const IniSection *section;
        const IniEntry *entry;
        GpioRefs refs;
} RefList;

static size_t digits_parse(const char *text, size_t n, unsigned *ret) {
        size_t i = 0;
        unsigned v = 0;

        while (i < n && i <= NUMBER_DIGITS_MAX && isdigit((unsigned char)text[i]))
                v = v * 10 + (unsigned)(text[i++] - '0');
        *ret = v;
        return i <= NUMBER_DIGITS_MAX ? i : 0;
}

/* "8", "8-15" or "01-12"; counted as the kernel counts, from 0. */
static const char *numbers_parse(const char *text, size_t n, Numbers *ret) {
        static const char wrong[] = "a number or a range of numbers such as 8-15 is wanted";
        Numbers numbers = {};
        size_t left = digits_parse(text, n, &numbers.first), right = left;

        if (left == 0)
                return wrong;
        numbers.last = numbers.first;
        if (left < n) {
                if (text[left] != '-')
                        return wrong;
                right = digits_parse(text + left + 1, n - left - 1, &numbers.last);
                if (right == 0 || left + 1 + right != n)
                        return wrong;
        }
        if (numbers.first > numbers.last)
                return "the range runs backwards; the lower number comes first";
        if (numbers.last - numbers.first >= CHANNEL_MAX)
                return "the range has more than 256 lines";
        if (left > 1 && text[0] == '0') {
                if (left != right)
                        return "the ends of a range with leading zeros must have the same number of digits, "
                               "such as "
                               "01-12";
                numbers.width = (int)left;
        }
        *ret = numbers;
        return NULL;
}

static GpioRef *push_ref(RefList *l) {
        GpioRef *ref = ARRAY_PUSH(l->refs.refs, l->refs.n);

        if (!ref)
                complaints_broken(l->b->complaints, -ENOMEM);
        return ref;
}

static void broken_name(RefList *l) {
        complaints_broken(l->b->complaints, -ENOMEM);
        l->refs.n--; /* a reference without a name would mean "not connected" */
}

/* CHIP:FIRST-LAST; `chip` is the length of CHIP. */
static const char *add_offsets(RefList *l, const char *chip, size_t length, const char *range, size_t n,
                               bool active_low) {
        Numbers offsets;

        const char *wrong = numbers_parse(range, n, &offsets);
        if (wrong)
                return wrong;
        if (length == 0 || length > GPIO_NAME_MAX)
                return "the name of a chip has 1 to 31 characters";
        if (offsets.last > GPIO_OFFSET_MAX)
                return "no chip has so many lines; offsets count from 0 to 1023";
        for (unsigned i = offsets.first; i <= offsets.last; i++) {
                GpioRef *ref = push_ref(l);
                if (!ref)
                        return NULL;
                *ref = (GpioRef){.chip = strndup(chip, length), .offset = i, .active_low = active_low};
                if (!ref->chip)
                        broken_name(l);
        }
        return NULL;
}

/* LOCK-01, or LOCK-[01-12], with an optional suffix after the bracket. */
static const char *add_names(RefList *l, const char *name, size_t n, bool active_low) {
        const char *open = memchr(name, '[', n), *close = memchr(name, ']', n);
        Numbers numbers = {};
        const char *wrong = NULL;

        if (!open != !close || (open && open > close))
                return "a range of names is written LOCK-[01-12]";
        if (open)
                wrong = numbers_parse(open + 1, (size_t)(close - open - 1), &numbers);
        for (unsigned i = numbers.first; !wrong && i <= numbers.last; i++) {
                char number[16] = "";
                if (open)
                        snprintf(number, sizeof(number), "%0*u", numbers.width, i);
                _cleanup_free_ char *full = open ? text_printf("%.*s%s%.*s", (int)(open - name), name, number,
                                                               (int)(name + n - close - 1), close + 1)
                                                 : strndup(name, n);
                if (!full) {
                        complaints_broken(l->b->complaints, -ENOMEM);
                        return NULL;
                }
                if (strlen(full) > GPIO_NAME_MAX)
                        return "the name of a line has at most 31 characters";
                GpioRef *ref = push_ref(l);
                if (!ref)
                        return NULL;
                *ref = (GpioRef){.name = steal_ptr(full), .active_low = active_low};
        }
        return wrong;
}

static const char *add_item(RefList *l, const char *item, size_t n) {
        const char *colon = memrchr(item, ':', n);
        bool active_low = item[0] == '!';

        if (n == 1 && item[0] == '-') {
                (void)push_ref(l); /* a gap */
                return NULL;
        }
        item += active_low;
        n -= active_low;
        if (n == 0)
                return "\"!\" stands directly before a line";
        if (memchr(item, '!', n))
                return "\"!\" stands before the whole reference, such as !gpiochip0:8";
        if (colon)
                return add_offsets(l, item, (size_t)(colon - item), colon + 1, (size_t)(item + n - colon - 1),
                                   active_low);
        return add_names(l, item, n, active_low);
}

void builder_read_gpio(Builder *b, const IniSection *s, const IniEntry *e, GpioRefs *ret) {
        RefList l = {.b = b, .section = s, .entry = e};

        for (const char *at = e->value; *(at += strspn(at, GPIO_SEPARATORS));) {
                size_t n = strcspn(at, GPIO_SEPARATORS);
                const char *wrong = add_item(&l, at, n);
                if (wrong) {
                        complain(b->complaints, s, e,
                                 "\"%.*s\": %s; NAME, NAME[FIRST-LAST], CHIP:OFFSET, CHIP:FIRST-LAST, \"!\" "
                                 "before it "
                                 "for active-low, and \"-\" for a channel that is not connected are allowed",
                                 (int)n, at, wrong);
                        break;
                }
                at += n;
        }
        *ret = l.refs;
}

static bool same_line(const GpioRef *a, const GpioRef *b) {
        if (a->name && b->name)
                return streq(a->name, b->name);
        return a->chip && b->chip && streq(a->chip, b->chip) && a->offset == b->offset;
}

static const GpioRef *ref_at(const Board *board, unsigned i) {
        return i < board->n_outputs ? &board->outputs[i] : &board->inputs[i - board->n_outputs];
}

/* Is the line named by a board before `board`, or by itself before `ref`? One complaint a key is enough. */
static bool check_line_once(Builder *b, int board, unsigned i) {
        const Cabinet *c = b->cabinet;
        const GpioRef *ref = ref_at(&c->boards[board], i);

        for (int other = 0; other <= board; other++) {
                const Board *o = &c->boards[other];
                unsigned n = other < board ? o->n_outputs + o->n_inputs : i;
                for (unsigned j = 0; j < n; j++) {
                        if (!same_line(ref_at(o, j), ref))
                                continue;
                        const IniSection *s = ini_file_section(b->file, "Board", (size_t)board);
                        const char *key = i < c->boards[board].n_outputs ? "Outputs" : "Inputs";
                        char offset[16] = "";
                        if (!ref->name)
                                snprintf(offset, sizeof(offset), ":%u", ref->offset);
                        complain(b->complaints, s, ini_section_find(s, key),
                                 "the line %s%s is already %s %u of [Board %s]; each is allowed once",
                                 ref->name ? ref->name : ref->chip, offset,
                                 j < o->n_outputs ? "output" : "input",
                                 (j < o->n_outputs ? j : j - o->n_outputs) + 1, o->name);
                        return false;
                }
        }
        return true;
}

static void check_lines_once(Builder *b, int board) {
        const Board *x = &b->cabinet->boards[board];

        for (unsigned i = 0; i < x->n_outputs; i++)
                if (!check_line_once(b, board, i))
                        break;
        for (unsigned i = x->n_outputs; i < x->n_outputs + x->n_inputs; i++)
                if (!check_line_once(b, board, i))
                        break;
}

static void check_address(Builder *b, const IniSection *s, const Board *board, const BoardProfile *profile) {
        const Protocol *protocol = protocol_of(profile ? profile->protocol : BOARD_MODBUS);
        const IniEntry *e = ini_section_find(s, "Address");

        if (!e)
                complain(b->complaints, s, NULL,
                         "Address= is missing and required; a whole number from %u to %u is allowed",
                         protocol->address_min, protocol->address_max);
        else if (profile &&
                 (board->address < protocol->address_min || board->address > protocol->address_max))
                complain(b->complaints, s, e,
                         "a whole number from %u to %u is allowed for a board that speaks %s",
                         protocol->address_min, protocol->address_max, protocol->name);
}

static void check_line_board(Builder *b, const IniSection *s, const Board *board, const BoardProfile *profile,
                             const Line *line) {
        static const char *const keys[] = {"Outputs", "Inputs", "InputBias", "OutputDrive", "ReadBack"};

        check_address(b, s, board, profile);
        if (profile && line->kind == LINE_TCP && !protocol_of(profile->protocol)->on_modbus_tcp)
                complain(b->complaints, s, ini_section_find(s, "Profile"),
                         "tcp: is Modbus TCP, and boards of this kind speak %s; behind a converter that "
                         "passes on "
                         "bytes, Device=raw-tcp:HOST:PORT is allowed in [Line %s]",
                         protocol_of(profile->protocol)->name, line->name);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                const IniEntry *e = ini_section_find(s, keys[i]);
                if (e)
                        complain(b->complaints, s, e,
                                 "%s= belongs to a board on GPIO lines; [Line %s] has no Device=gpio",
                                 keys[i], line->name);
        }
}

static void check_gpio_board(Builder *b, const IniSection *s, const Board *board,
                             const BoardProfile *profile) {
        const IniEntry *address = ini_section_find(s, "Address"), *outputs = ini_section_find(s, "Outputs"),
                       *inputs = ini_section_find(s, "Inputs");

        if (address)
                complain(b->complaints, s, address, "a board on GPIO lines has no Address; leave it out");
        if (!outputs && !inputs)
                complain(b->complaints, s, NULL,
                         "a board on GPIO lines needs Outputs=, Inputs= or both: its lines, in the order of "
                         "its "
                         "channels");
        if (!profile)
                return;
        if (board->n_outputs > profile->outputs)
                complain(b->complaints, s, outputs, "%u lines; the profile %s allows %u outputs",
                         board->n_outputs, profile->name, profile->outputs);
        if (board->n_inputs > profile->inputs)
                complain(b->complaints, s, inputs, "%u lines; the profile %s allows %u inputs",
                         board->n_inputs, profile->name, profile->inputs);
}

void builder_check_gpio(Builder *b) {
        const Cabinet *c = b->cabinet;

        for (int i = 0; i < c->n_boards && !b->complaints->error; i++) {
                const IniSection *s = ini_file_section(b->file, "Board", (size_t)i);
                const Board *board = &c->boards[i];
                const BoardProfile *profile = builder_profile(b, i);

                check_lines_once(b, i);
                if (board->line < 0)
                        continue;
                const Line *line = &c->lines[board->line];
                bool gpio = line->kind == LINE_GPIO;
                if (profile && (profile->protocol == BOARD_GPIO) != gpio)
                        complain(b->complaints, s, ini_section_find(s, "Profile"),
                                 gpio ? "[Line %s] is GPIO, and this profile is for boards that speak %s; "
                                        "one with "
                                        "Protocol=gpio, such as gpio, is allowed"
                                      : "[Line %s] is not GPIO, and this profile is for %s lines; one with "
                                        "Protocol=modbus, kerong or winnsen is allowed",
                                 line->name, protocol_of(profile->protocol)->name);
                else if (gpio)
                        check_gpio_board(b, s, board, profile);
                else
                        check_line_board(b, s, board, profile, line);
        }
}
