/* SPDX-License-Identifier: Apache-2.0 */
/* From the names of lines to lines that are held. What cannot be had is told in a sentence that names the
 * line, the chip and whoever holds it; what can be had is held all the same, so that outputs are inactive. */
#include "gpio/worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* The kernel's "not supported", which no libc knows. */
#define KERNEL_ENOTSUPP 524

typedef struct Chip {
        char name[GPIO_NAME];
        GpioChip *gpio; /* NULL: could not be opened, see error */
        int error;
} Chip;

/* The chips as they are now; opened for one round of taking. */
typedef struct Chips {
        Chip *chips;
        unsigned n;
} Chips;

/* Where a wanted channel was found. */
typedef struct Place {
        Channel *channel;
        Chip *chip;
        unsigned offset;
} Place;

static void trouble(Trouble *t, BoardHealth health, const char *format, ...) _printf_(3, 4);
static void trouble(Trouble *t, BoardHealth health, const char *format, ...) {
        va_list ap;

        if (t->health != BOARD_ONLINE)
                return; /* the first one is told; the others come when it has been mended */
        t->health = health;
        va_start(ap, format);
        vsnprintf(t->sentence, sizeof(t->sentence), format, ap);
        va_end(ap);
}

static bool is_output(const GpioBoard *b, const Channel *c) {
        return c >= b->outputs && c < b->outputs + b->setup.outputs;
}

void channel_describe(const GpioBoard *b, const Channel *c, char *buffer, size_t size) {
        bool output = is_output(b, c);
        unsigned number = (unsigned)(c - (output ? b->outputs : b->inputs)) + 1;
        const char *kind = !output ? "input" : c->line.flags & WIRE_GPIO_LAMP ? "lamp output" : "output";

        if (c->line.flags & WIRE_GPIO_BY_CHIP)
                snprintf(buffer, size, "%s %u (%s:%u)", kind, number, c->line.name, c->line.offset);
        else
                snprintf(buffer, size, "%s %u (%s)", kind, number, c->line.name);
}

static void chips_open(Chips *ret) {
        char(*names)[GPIO_NAME] = NULL;
        unsigned n = 0;

        *ret = (Chips){0};
        if (gpio_list_chips(&names, &n) < 0)
                return;
        ret->chips = calloc(MAX(n, 1u), sizeof(*ret->chips));
        for (unsigned i = 0; ret->chips && i < n; i++) {
                Chip *chip = &ret->chips[ret->n++];
                memcpy(chip->name, names[i], sizeof(chip->name));
                chip->error = gpio_chip_open(names[i], &chip->gpio);
        }
        free(names);
}

static void chips_close(Chips *chips) {
        for (unsigned i = 0; i < chips->n; i++)
                gpio_chip_free(chips->chips[i].gpio);
        free(chips->chips);
}

static bool chip_is(const Chip *chip, const char *name) {
        return streq(chip->name, name) || (chip->gpio && streq(gpio_chip_label(chip->gpio), name));
}

/* A chip that may not be opened may well have the line. */
static const Chip *closed_chip(const Chips *chips) {
        for (unsigned i = 0; i < chips->n; i++)
                if (!chips->chips[i].gpio && chips->chips[i].error != -ENOENT &&
                    chips->chips[i].error != -ENODEV)
                        return &chips->chips[i];
        return NULL;
}

static void not_found(const GpioBoard *b, const Channel *c, const Chips *chips, Trouble *t) {
        const Chip *closed = closed_chip(chips);
        char what[80];

        channel_describe(b, c, what, sizeof(what));
        if (closed)
                trouble(t, BOARD_OFFLINE, "Board %s: %s is not found; /dev/%s cannot be opened: %s",
                        b->setup.name, what, closed->name, strerror(-closed->error));
        else if (c->line.flags & WIRE_GPIO_BY_CHIP)
                trouble(t, BOARD_OFFLINE, "Board %s: %s: there is no GPIO chip %s; gpiodetect lists them",
                        b->setup.name, what, c->line.name);
        else
                trouble(t, BOARD_OFFLINE,
                        "Board %s: %s: no GPIO chip has a line of this name; gpioinfo lists them",
                        b->setup.name, what);
}

static bool find_line(const GpioBoard *b, Channel *c, const Chips *chips, Place *ret, Trouble *t) {
        bool by_chip = c->line.flags & WIRE_GPIO_BY_CHIP;
        Place place = {.channel = c, .offset = c->line.offset};
        char what[80];

        channel_describe(b, c, what, sizeof(what));
        for (unsigned i = 0; i < chips->n; i++) {
                Chip *chip = &chips->chips[i];
                unsigned offset = c->line.offset;
                if (!chip->gpio || (by_chip ? !chip_is(chip, c->line.name)
                                            : gpio_chip_find(chip->gpio, c->line.name, &offset) < 0))
                        continue;
                if (place.chip) {
                        trouble(t, BOARD_WRONG, "Board %s: %s may mean %s or %s; write CHIP:OFFSET%s",
                                b->setup.name, what, place.chip->name, chip->name,
                                by_chip ? " with gpiochipN" : "");
                        return false;
                }
                place.chip = chip;
                place.offset = offset;
        }
        if (!place.chip) {
                not_found(b, c, chips, t);
                return false;
        }
        if (place.offset >= gpio_chip_lines(place.chip->gpio)) {
                trouble(t, BOARD_WRONG, "Board %s: %s: %s (%s) has %u lines, counted from 0", b->setup.name,
                        what, place.chip->name, gpio_chip_label(place.chip->gpio),
                        gpio_chip_lines(place.chip->gpio));
                return false;
        }
        *ret = place;
        return true;
}

/* One line by two names: held already by us, or wanted twice in this round. */
static const Channel *find_holder(const GpioWorker *w, const Place *place, const Place *places, unsigned n,
                                  const GpioBoard **ret_board, const GpioBoard *b) {
        for (unsigned i = 0; i < w->n_boards; i++)
                for (unsigned k = 0; k < w->boards[i].n_banks; k++) {
                        const Bank *bank = w->boards[i].banks[k];
                        for (unsigned j = 0; streq(bank->chip, place->chip->name) && j < bank->n; j++)
                                if (bank->offsets[j] == place->offset) {
                                        *ret_board = &w->boards[i];
                                        return bank->channels[j];
                                }
                }
        for (unsigned i = 0; i < n; i++)
                if (places[i].chip == place->chip && places[i].offset == place->offset) {
                        *ret_board = b;
                        return places[i].channel;
                }
        return NULL;
}

static unsigned find_places(const GpioWorker *w, GpioBoard *b, bool output, const Chips *chips, Place *ret,
                            Trouble *t) {
        unsigned n = 0, n_channels = output ? b->setup.outputs : b->setup.inputs;
        Channel *channels = output ? b->outputs : b->inputs;

        for (unsigned i = 0; i < n_channels; i++) {
                const GpioBoard *other_board;
                Place place;
                if (!channels[i].wanted || channels[i].bank || !find_line(b, &channels[i], chips, &place, t))
                        continue;
                const Channel *other = find_holder(w, &place, ret, n, &other_board, b);
                if (other) {
                        char what[80], whose[80];
                        channel_describe(b, &channels[i], what, sizeof(what));
                        channel_describe(other_board, other, whose, sizeof(whose));
                        trouble(t, BOARD_WRONG, "Board %s: %s is the same line as %s of board %s",
                                b->setup.name, what, whose, other_board->setup.name);
                        continue;
                }
                ret[n++] = place;
        }
        return n;
}

static void cannot_take(const GpioBoard *b, const Place *places, unsigned n, const GpioBankOptions *o,
                        int error, Trouble *t) {
        char what[80];

        channel_describe(b, places[0].channel, what, sizeof(what));
        for (unsigned i = 0; error == -EBUSY && i < n; i++) {
                GpioLineInfo info;
                if (gpio_chip_line(places[i].chip->gpio, places[i].offset, &info) < 0 || !info.used)
                        continue;
                channel_describe(b, places[i].channel, what, sizeof(what));
                trouble(t, BOARD_OFFLINE,
                        "Board %s: %s is line %u of %s and held by \"%s\"; end that, or choose another line",
                        b->setup.name, what, places[i].offset, places[i].chip->name,
                        *info.consumer ? info.consumer : "?");
                return;
        }
        bool odd = o->output ? o->drive != GPIO_DRIVE_PUSH_PULL : o->bias != GPIO_BIAS_AS_IS;
        if (odd &&
            (error == -EINVAL || error == -EOPNOTSUPP || error == -ENOTSUP || error == -KERNEL_ENOTSUPP))
                trouble(t, BOARD_WRONG, "Board %s: %s (%s) cannot do what %s= asks for, from %s on",
                        b->setup.name, places[0].chip->name, gpio_chip_label(places[0].chip->gpio),
                        o->output ? "OutputDrive" : "InputBias", what);
        else
                trouble(t, BOARD_OFFLINE, "Board %s: %s on %s cannot be taken: %s", b->setup.name, what,
                        places[0].chip->name, strerror(-error));
}

/* Inputs first with edges; a line without an interrupt (many port expanders) is read in the round instead. */
static int request(GpioBoard *b, Bank *bank, GpioChip *chip, GpioBankOptions *o) {
        int r = gpio_bank_request(chip, bank->offsets, bank->n, o, &bank->gpio);

        bank->edges = o->edges;
        if (r >= 0 || r == -EBUSY || !o->edges)
                return r;
        GpioBankOptions plain = *o;
        plain.edges = false;
        int again = gpio_bank_request(chip, bank->offsets, bank->n, &plain, &bank->gpio);
        if (again < 0)
                return r;
        bank->edges = false;
        if (!b->edges_missed)
                log_notice("Board %s: %s tells no edges (%s); it is read every few milliseconds",
                           b->setup.name, bank->chip, strerror(-r));
        b->edges_missed = true;
        return 0;
}

static int add_bank(GpioBoard *b, Bank *bank) {
        Bank **more = reallocarray(b->banks, b->n_banks + 1, sizeof(Bank *));

        if (!more)
                return -ENOMEM;
        b->banks = more;
        b->banks[b->n_banks++] = bank;
        for (unsigned i = 0; i < bank->n; i++) {
                bank->channels[i]->bank = bank;
                bank->channels[i]->nth = i;
                bank->channels[i]->output = (Output){0};
                bank->channels[i]->input = (Input){0};
        }
        return 0;
}

static void take_bank(GpioBoard *b, const Place *places, unsigned n, bool output, Trouble *t) {
        GpioBankOptions o = {
                .output = output,
                .edges = !output,
                .bias = (GpioBias)b->setup.input_bias,
                .drive = (GpioDrive)b->setup.output_drive,
        };
        Bank *bank = calloc(1, sizeof(*bank));
        int r = bank ? 0 : -ENOMEM;

        for (unsigned i = 0; r >= 0 && i < n; i++) {
                bank->channels[i] = places[i].channel;
                bank->offsets[i] = places[i].offset;
                if (output && places[i].channel->line.flags & WIRE_GPIO_LOW)
                        o.levels |= UINT64_C(1) << i; /* inactive */
        }
        if (r >= 0) {
                bank->n = n;
                bank->output = output;
                o.debounce_us = output ? 0 : input_debounce_ms(b, bank) * 1000;
                snprintf(bank->chip, sizeof(bank->chip), "%s", places[0].chip->name);
                snprintf(bank->label, sizeof(bank->label), "%s", gpio_chip_label(places[0].chip->gpio));
                r = request(b, bank, places[0].chip->gpio, &o);
        }
        if (r < 0) {
                cannot_take(b, places, n, &o, r, t);
                free(bank);
                return;
        }
        r = add_bank(b, bank);
        if (r >= 0)
                r = output ? output_start(b, bank) : input_start(b, bank);
        if (r >= 0)
                return;
        cannot_take(b, places, n, &o, r, t);
        board_drop_bank(b, bank);
}

static void take_places(GpioBoard *b, Place *places, unsigned n, bool output, Trouble *t) {
        Place of_chip[GPIO_BANK_MAX];

        for (unsigned i = 0; i < n; i++) {
                Chip *chip = places[i].chip;
                unsigned k = 0;
                for (unsigned j = i; chip && j < n && k < GPIO_BANK_MAX; j++)
                        if (places[j].chip == chip) {
                                of_chip[k++] = places[j];
                                places[j].chip = NULL;
                        }
                if (k > 0)
                        take_bank(b, of_chip, k, output, t);
        }
}

void board_take_lines(GpioWorker *w, GpioBoard *b, Trouble *ret) {
        Place places[WIRE_CHANNELS];
        Chips chips;

        *ret = (Trouble){.health = BOARD_ONLINE};
        chips_open(&chips);
        for (int output = 1; output >= 0; output--) {
                unsigned n = find_places(w, b, output, &chips, places, ret);
                take_places(b, places, n, output, ret);
        }
        chips_close(&chips);
}

void board_drop_bank(GpioBoard *b, Bank *bank) {
        for (unsigned i = 0; i < bank->n; i++)
                bank->channels[i]->bank = NULL;
        for (unsigned i = 0; i < b->n_banks; i++)
                if (b->banks[i] == bank) {
                        memmove(&b->banks[i], &b->banks[i + 1], (--b->n_banks - i) * sizeof(Bank *));
                        break;
                }
        gpio_bank_release(bank->gpio);
        free(bank);
}
