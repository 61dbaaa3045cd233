/* SPDX-License-Identifier: Apache-2.0 */
/* GPIO lines by libgpiod 1.6. Lines that are taken together must be read and written together: the library
 * gives the first value of the whole request to whoever asks for a single line. Edges come by a descriptor a
 * line. */
#include "gpio/kernel.h"

#include <errno.h>
#include <gpiod.h>
#include <poll.h>
#include <stdio.h>

#define CONSUMER "lockerd"

struct GpioChip {
        struct gpiod_chip *chip;
        unsigned refs;
};

struct GpioBank {
        GpioChip *chip;
        struct gpiod_line_bulk lines;
        bool edges;
};

int gpio_chip_open(const char *name, GpioChip **ret) {
        GpioChip *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->chip = gpiod_chip_open_by_name(name);
        if (!c->chip) {
                int r = -errno;
                free(c);
                return r;
        }
        c->refs = 1;
        *ret = c;
        return 0;
}

GpioChip *gpio_chip_free(GpioChip *c) {
        if (c && --c->refs == 0) {
                gpiod_chip_close(c->chip);
                free(c);
        }
        return NULL;
}

const char *gpio_chip_label(const GpioChip *c) {
        return gpiod_chip_label(c->chip);
}

unsigned gpio_chip_lines(const GpioChip *c) {
        return gpiod_chip_num_lines(c->chip);
}

/* Not gpiod_chip_find_line(): its lines remember who used them when the chip was opened. */
int gpio_chip_line(GpioChip *c, unsigned offset, GpioLineInfo *ret) {
        struct gpiod_line *line = gpiod_chip_get_line(c->chip, offset);
        GpioLineInfo info = {0};

        if (!line)
                return -errno;
        const char *name = gpiod_line_name(line), *consumer = gpiod_line_consumer(line);
        snprintf(info.name, sizeof(info.name), "%s", name ? name : "");
        snprintf(info.consumer, sizeof(info.consumer), "%s", consumer ? consumer : "");
        info.used = gpiod_line_is_used(line);
        *ret = info;
        return 0;
}

int gpio_chip_find(GpioChip *c, const char *name, unsigned *ret_offset) {
        for (unsigned i = 0; i < gpio_chip_lines(c); i++) {
                GpioLineInfo info;
                int r = gpio_chip_line(c, i, &info);
                if (r < 0)
                        return r;
                if (streq(info.name, name)) {
                        *ret_offset = i;
                        return 0;
                }
        }
        return -ENOENT;
}

static int flags_of(const GpioBankOptions *o) {
        int flags = 0;

        if (o->output)
                switch (o->drive) {
                case GPIO_DRIVE_PUSH_PULL:
                        return 0;
                case GPIO_DRIVE_OPEN_DRAIN:
                        return GPIOD_LINE_REQUEST_FLAG_OPEN_DRAIN;
                case GPIO_DRIVE_OPEN_SOURCE:
                        return GPIOD_LINE_REQUEST_FLAG_OPEN_SOURCE;
                }
        switch (o->bias) {
        case GPIO_BIAS_AS_IS:
                break;
        case GPIO_BIAS_DISABLED:
                flags = GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE;
                break;
        case GPIO_BIAS_PULL_UP:
                flags = GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
                break;
        case GPIO_BIAS_PULL_DOWN:
                flags = GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN;
                break;
        }
        return flags;
}

int gpio_bank_request(GpioChip *chip, const unsigned *offsets, unsigned n, const GpioBankOptions *options,
                      GpioBank **ret) {
        struct gpiod_line_request_config config = {
                .consumer = CONSUMER,
                .request_type = options->output  ? GPIOD_LINE_REQUEST_DIRECTION_OUTPUT
                                : options->edges ? GPIOD_LINE_REQUEST_EVENT_BOTH_EDGES
                                                 : GPIOD_LINE_REQUEST_DIRECTION_INPUT,
                .flags = flags_of(options),
        };
        int values[GPIO_BANK_MAX];
        GpioBank *b = calloc(1, sizeof(*b));
        int r = 0;

        if (!b)
                return -ENOMEM;
        gpiod_line_bulk_init(&b->lines);
        for (unsigned i = 0; i < n; i++) {
                struct gpiod_line *line = gpiod_chip_get_line(chip->chip, offsets[i]);
                if (!line) {
                        r = -errno;
                        break;
                }
                gpiod_line_bulk_add(&b->lines, line);
                values[i] = options->levels >> i & 1;
        }
        if (r >= 0 && gpiod_line_request_bulk(&b->lines, &config, values) < 0)
                r = -errno;
        if (r < 0) {
                free(b);
                return r;
        }
        b->edges = options->edges && !options->output;
        b->chip = chip;
        chip->refs++;
        *ret = b;
        return 0;
}

GpioBank *gpio_bank_release(GpioBank *b) {
        if (!b)
                return NULL;
        gpiod_line_release_bulk(&b->lines);
        gpio_chip_free(b->chip);
        free(b);
        return NULL;
}

bool gpio_bank_debounces(const GpioBank *b) {
        return false;
}

int gpio_bank_get(GpioBank *b, uint64_t *ret_levels) {
        int values[GPIO_BANK_MAX];
        uint64_t levels = 0;

        if (gpiod_line_get_value_bulk(&b->lines, values) < 0)
                return -errno;
        for (unsigned i = 0; i < gpiod_line_bulk_num_lines(&b->lines); i++)
                levels |= (uint64_t)(values[i] != 0) << i;
        *ret_levels = levels;
        return 0;
}

int gpio_bank_set(GpioBank *b, uint64_t levels) {
        int values[GPIO_BANK_MAX];

        for (unsigned i = 0; i < GPIO_BANK_MAX; i++)
                values[i] = levels >> i & 1;
        return gpiod_line_set_value_bulk(&b->lines, values) < 0 ? -errno : 0;
}

int gpio_bank_fd(const GpioBank *b, unsigned line) {
        return b->edges ? gpiod_line_event_get_fd(b->lines.lines[line]) : -1;
}

int gpio_bank_read(GpioBank *b, unsigned line, GpioEdge *ret, unsigned max) {
        struct gpiod_line_event events[16];
        struct pollfd fd = {.fd = gpio_bank_fd(b, line), .events = POLLIN};

        /* The descriptor blocks, and lives on, without a word, when its chip has gone. */
        if (poll(&fd, 1, 0) < 0)
                return -errno;
        if (fd.revents & (POLLHUP | POLLERR | POLLNVAL) && !(fd.revents & POLLIN))
                return -ENODEV;
        if (!(fd.revents & POLLIN))
                return 0;
        int n = gpiod_line_event_read_fd_multiple(fd.fd, events, MIN(max, (unsigned)ARRAY_SIZE(events)));
        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        for (int i = 0; i < n; i++) {
                const struct timespec *ts = &events[i].ts;
                ret[i] = (GpioEdge){
                        .line = line,
                        .level = events[i].event_type == GPIOD_LINE_EVENT_RISING_EDGE,
                        .at = gpio_boot_time((uint64_t)ts->tv_sec * 1000000000 + (uint64_t)ts->tv_nsec),
                };
        }
        return n;
}
