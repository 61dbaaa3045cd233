/* SPDX-License-Identifier: Apache-2.0 */
/* GPIO lines by libgpiod 2: a request has one descriptor, and the kernel debounces. */
#include "gpio/kernel.h"

#include <errno.h>
#include <gpiod.h>
#include <poll.h>
#include <stdio.h>

#define CONSUMER    "lockerd"
#define CHIP_PATH   "/dev/"
#define EVENTS_MAX  64
#define KERNEL_FIFO 1024 /* edges that may wait; the kernel's default is 16 a line */

struct GpioChip {
        struct gpiod_chip *chip;
        char label[GPIO_NAME];
        unsigned lines;
};

struct GpioBank {
        struct gpiod_line_request *request;
        struct gpiod_edge_event_buffer *events; /* NULL: no edges */
        unsigned offsets[GPIO_BANK_MAX];
        unsigned n;
        bool debounces;
};

int gpio_chip_open(const char *name, GpioChip **ret) {
        char path[sizeof(CHIP_PATH) + GPIO_NAME];
        struct gpiod_chip_info *info = NULL;
        GpioChip *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        snprintf(path, sizeof(path), CHIP_PATH "%.*s", GPIO_NAME - 1, name);
        c->chip = gpiod_chip_open(path);
        if (c->chip)
                info = gpiod_chip_get_info(c->chip);
        if (!info) {
                r = -errno;
                gpio_chip_free(c);
                return r;
        }
        snprintf(c->label, sizeof(c->label), "%s", gpiod_chip_info_get_label(info));
        c->lines = (unsigned)gpiod_chip_info_get_num_lines(info);
        gpiod_chip_info_free(info);
        *ret = c;
        return 0;
}

GpioChip *gpio_chip_free(GpioChip *c) {
        if (!c)
                return NULL;
        if (c->chip)
                gpiod_chip_close(c->chip);
        free(c);
        return NULL;
}

const char *gpio_chip_label(const GpioChip *c) {
        return c->label;
}

unsigned gpio_chip_lines(const GpioChip *c) {
        return c->lines;
}

int gpio_chip_line(GpioChip *c, unsigned offset, GpioLineInfo *ret) {
        struct gpiod_line_info *info = gpiod_chip_get_line_info(c->chip, offset);
        GpioLineInfo line = {0};

        if (!info)
                return -errno;
        const char *name = gpiod_line_info_get_name(info), *consumer = gpiod_line_info_get_consumer(info);
        snprintf(line.name, sizeof(line.name), "%s", name ? name : "");
        snprintf(line.consumer, sizeof(line.consumer), "%s", consumer ? consumer : "");
        line.used = gpiod_line_info_is_used(info);
        gpiod_line_info_free(info);
        *ret = line;
        return 0;
}

int gpio_chip_find(GpioChip *c, const char *name, unsigned *ret_offset) {
        int offset = gpiod_chip_get_line_offset_from_name(c->chip, name);

        if (offset < 0)
                return -errno;
        *ret_offset = (unsigned)offset;
        return 0;
}

static enum gpiod_line_bias bias_of(GpioBias bias) {
        switch (bias) {
        case GPIO_BIAS_AS_IS:
                return GPIOD_LINE_BIAS_AS_IS;
        case GPIO_BIAS_DISABLED:
                return GPIOD_LINE_BIAS_DISABLED;
        case GPIO_BIAS_PULL_UP:
                return GPIOD_LINE_BIAS_PULL_UP;
        case GPIO_BIAS_PULL_DOWN:
                return GPIOD_LINE_BIAS_PULL_DOWN;
        }
        return GPIOD_LINE_BIAS_AS_IS;
}

static enum gpiod_line_drive drive_of(GpioDrive drive) {
        switch (drive) {
        case GPIO_DRIVE_PUSH_PULL:
                return GPIOD_LINE_DRIVE_PUSH_PULL;
        case GPIO_DRIVE_OPEN_DRAIN:
                return GPIOD_LINE_DRIVE_OPEN_DRAIN;
        case GPIO_DRIVE_OPEN_SOURCE:
                return GPIOD_LINE_DRIVE_OPEN_SOURCE;
        }
        return GPIOD_LINE_DRIVE_PUSH_PULL;
}

static enum gpiod_line_value value_of(uint64_t levels, unsigned i) {
        return levels >> i & 1 ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
}

/* The settings all lines share; a setter refuses only what it does not know. */
static int fill_settings(struct gpiod_line_settings *s, const GpioBankOptions *o) {
        int r = 0;

        if (o->output) {
                r |= gpiod_line_settings_set_direction(s, GPIOD_LINE_DIRECTION_OUTPUT);
                r |= gpiod_line_settings_set_drive(s, drive_of(o->drive));
                return r < 0 ? -EINVAL : 0;
        }
        r |= gpiod_line_settings_set_direction(s, GPIOD_LINE_DIRECTION_INPUT);
        r |= gpiod_line_settings_set_bias(s, bias_of(o->bias));
        if (o->edges) {
                r |= gpiod_line_settings_set_edge_detection(s, GPIOD_LINE_EDGE_BOTH);
                r |= gpiod_line_settings_set_event_clock(s, GPIOD_LINE_CLOCK_MONOTONIC);
                gpiod_line_settings_set_debounce_period_us(s, o->debounce_us);
        }
        return r < 0 ? -EINVAL : 0;
}

static int request(GpioBank *b, GpioChip *chip, const GpioBankOptions *o, struct gpiod_line_settings *s,
                   struct gpiod_line_config *lines, struct gpiod_request_config *config) {
        enum gpiod_line_value values[GPIO_BANK_MAX];
        int r;

        if (!s || !lines || !config)
                return -ENOMEM;
        r = fill_settings(s, o);
        if (r < 0)
                return r;
        if (gpiod_line_config_add_line_settings(lines, b->offsets, b->n, s) < 0)
                return -errno;
        for (unsigned i = 0; i < b->n; i++)
                values[i] = value_of(o->levels, i);
        if (o->output && gpiod_line_config_set_output_values(lines, values, b->n) < 0)
                return -errno;
        gpiod_request_config_set_consumer(config, CONSUMER);
        gpiod_request_config_set_event_buffer_size(config, KERNEL_FIFO);
        b->request = gpiod_chip_request_lines(chip->chip, config, lines);
        return b->request ? 0 : -errno;
}

int gpio_bank_request(GpioChip *chip, const unsigned *offsets, unsigned n, const GpioBankOptions *options,
                      GpioBank **ret) {
        GpioBank *b = calloc(1, sizeof(*b));
        int r = 0;

        if (!b)
                return -ENOMEM;
        memcpy(b->offsets, offsets, n * sizeof(*offsets));
        b->n = n;
        if (options->edges && !options->output) {
                b->events = gpiod_edge_event_buffer_new(EVENTS_MAX);
                b->debounces = options->debounce_us > 0;
                r = b->events ? 0 : -ENOMEM;
        }
        if (r >= 0) {
                struct gpiod_line_settings *settings = gpiod_line_settings_new();
                struct gpiod_line_config *lines = gpiod_line_config_new();
                struct gpiod_request_config *config = gpiod_request_config_new();
                r = request(b, chip, options, settings, lines, config);
                gpiod_request_config_free(config);
                gpiod_line_config_free(lines);
                gpiod_line_settings_free(settings);
        }
        if (r < 0) {
                gpio_bank_release(b);
                return r;
        }
        *ret = b;
        return 0;
}

GpioBank *gpio_bank_release(GpioBank *b) {
        if (!b)
                return NULL;
        if (b->request)
                gpiod_line_request_release(b->request);
        gpiod_edge_event_buffer_free(b->events);
        free(b);
        return NULL;
}

bool gpio_bank_debounces(const GpioBank *b) {
        return b->debounces;
}

int gpio_bank_get(GpioBank *b, uint64_t *ret_levels) {
        enum gpiod_line_value values[GPIO_BANK_MAX];
        uint64_t levels = 0;

        if (gpiod_line_request_get_values(b->request, values) < 0)
                return -errno;
        for (unsigned i = 0; i < b->n; i++)
                levels |= (uint64_t)(values[i] == GPIOD_LINE_VALUE_ACTIVE) << i;
        *ret_levels = levels;
        return 0;
}

int gpio_bank_set(GpioBank *b, uint64_t levels) {
        enum gpiod_line_value values[GPIO_BANK_MAX];

        for (unsigned i = 0; i < b->n; i++)
                values[i] = value_of(levels, i);
        return gpiod_line_request_set_values(b->request, values) < 0 ? -errno : 0;
}

int gpio_bank_fd(const GpioBank *b, unsigned line) {
        return b->events && line == 0 ? gpiod_line_request_get_fd(b->request) : -1;
}

static unsigned line_at(const GpioBank *b, unsigned offset) {
        unsigned i = 0;

        while (i < b->n && b->offsets[i] != offset)
                i++;
        return i;
}

int gpio_bank_read(GpioBank *b, unsigned line, GpioEdge *ret, unsigned max) {
        struct pollfd fd = {.fd = gpio_bank_fd(b, line), .events = POLLIN};
        int found = 0;

        /* The descriptor blocks. */
        if (poll(&fd, 1, 0) < 0)
                return -errno;
        if (fd.revents & (POLLHUP | POLLERR | POLLNVAL) && !(fd.revents & POLLIN))
                return -ENODEV;
        if (!(fd.revents & POLLIN))
                return 0;
        int n = gpiod_line_request_read_edge_events(b->request, b->events, MIN(max, (unsigned)EVENTS_MAX));
        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        for (int i = 0; i < n; i++) {
                struct gpiod_edge_event *e = gpiod_edge_event_buffer_get_event(b->events, (unsigned long)i);
                unsigned nth = line_at(b, gpiod_edge_event_get_line_offset(e));
                if (nth < b->n)
                        ret[found++] = (GpioEdge){
                                .line = nth,
                                .level = gpiod_edge_event_get_event_type(e) == GPIOD_EDGE_EVENT_RISING_EDGE,
                                .at = gpio_boot_time(gpiod_edge_event_get_timestamp_ns(e)),
                        };
        }
        return found;
}
