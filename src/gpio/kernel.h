/* SPDX-License-Identifier: Apache-2.0 */
/* What lockerd-gpio needs from the kernel's GPIO lines. Behind it libgpiod1.c (libgpiod 1.6) or libgpiod2.c
 * (libgpiod 2), whichever is installed, or a fake in the tests. Levels are those of the wire: what active-low
 * means is the worker's business. Functions return 0 or more, or negative errno. */
#pragma once

#include "base/macros.h"
#include "core/cabinet.h"
#include <stdbool.h>
#include <stdint.h>

#define GPIO_NAME     32 /* of a chip, a label, a line or a consumer, with its end */
#define GPIO_BANK_MAX 64 /* lines that the kernel gives away at once */

typedef struct GpioChip GpioChip;
typedef struct GpioBank GpioBank;

typedef struct GpioLineInfo {
        char name[GPIO_NAME], consumer[GPIO_NAME];
        bool used;
} GpioLineInfo;

/* The chips there are now: "gpiochip0", …; sorted, malloc'ed. */
int gpio_list_chips(char (**ret)[GPIO_NAME], unsigned *ret_n);

int gpio_chip_open(const char *name, GpioChip **ret);
GpioChip *gpio_chip_free(GpioChip *chip); /* banks outlive it */
const char *gpio_chip_label(const GpioChip *chip);
unsigned gpio_chip_lines(const GpioChip *chip);
int gpio_chip_find(GpioChip *chip, const char *line, unsigned *ret_offset); /* -ENOENT */
int gpio_chip_line(GpioChip *chip, unsigned offset, GpioLineInfo *ret);

typedef struct GpioBankOptions {
        bool output;
        bool edges;           /* inputs: tell changes by descriptors */
        uint64_t levels;      /* outputs: at first */
        GpioBias bias;        /* inputs */
        GpioDrive drive;      /* outputs */
        unsigned debounce_us; /* inputs with edges: asked for; see gpio_bank_debounces() */
} GpioBankOptions;

/* Lines of one chip, taken and given back together; bit n of `levels` is the n-th of `offsets`. -EBUSY:
 * somebody holds one of them. -ENODEV, in all functions on banks: the chip is gone. */
int gpio_bank_request(GpioChip *chip, const unsigned *offsets, unsigned n, const GpioBankOptions *options,
                      GpioBank **ret);
GpioBank *gpio_bank_release(GpioBank *bank);
bool gpio_bank_debounces(const GpioBank *bank); /* the kernel does */
int gpio_bank_get(GpioBank *bank, uint64_t *ret_levels);
int gpio_bank_set(GpioBank *bank, uint64_t levels);

typedef struct GpioEdge {
        unsigned line; /* the n-th of the bank */
        bool level;    /* after the edge */
        uint64_t at;   /* boot µs */
} GpioEdge;

/* Descriptors that become readable with an edge: one a line, or one a bank, which is then its first line's.
 */
int gpio_bank_fd(const GpioBank *bank, unsigned line); /* -1: none */
/* What has come at that line's descriptor: up to `max` edges in order, 0 when there is nothing. */
int gpio_bank_read(GpioBank *bank, unsigned line, GpioEdge *ret, unsigned max);

/* For the implementations: an edge's time on CLOCK_MONOTONIC as boot µs. */
uint64_t gpio_boot_time(uint64_t monotonic_ns);
