/* SPDX-License-Identifier: Apache-2.0 */
/* GPIO chips, a clock and a daemon that exist only in memory: what lockerd-gpio does with its lines, to the
 * microsecond. Time goes on only while the worker waits; a script says what happens then. */
#pragma once

#include "gpio/worker.h"

#define FAKE_LINES 80

typedef struct FakeLine {
        char name[GPIO_NAME], consumer[GPIO_NAME]; /* consumer: somebody else's */
        bool outside;                              /* the level that somebody puts on it */
        bool level, output, taken;                 /* what is on the pin; what we have made of it */
        bool stuck, stuck_level;                   /* whatever we set */
        /* as the kernel that debounces sees it */
        bool told;
        uint64_t settle_at; /* 0: at rest */
} FakeLine;

typedef struct FakeChip {
        char name[GPIO_NAME], label[GPIO_NAME];
        FakeLine lines[FAKE_LINES];
        unsigned n_lines;
        bool present, forbidden;
        bool no_edges, no_bias, no_reading; /* what its driver cannot do */
        int set_errors;                     /* so many settings fail (EIO) */
} FakeChip;

typedef struct FakeChange {
        uint64_t at;
        char chip[GPIO_NAME];
        unsigned line;
        bool level;
} FakeChange;

typedef struct FakeHeard {
        uint64_t at; /* when it came */
        WireMessage message;
} FakeHeard;

typedef void (*FakeAction)(void *a, uint64_t b, uint64_t c);

typedef struct Fake {
        uint64_t now;
        bool kernel_debounces; /* and one descriptor a bank: libgpiod 2 */
        FakeChip chips[4];
        unsigned n_chips;
        int daemon, worker; /* both ends */
        struct {
                uint64_t at;
                FakeAction action;
                void *a;
                uint64_t b, c;
        } steps[8192];
        unsigned n_steps, next_step;
        FakeChange changes[8192]; /* of outputs */
        unsigned n_changes;
        FakeHeard heard[4096];
        unsigned n_heard;
        uint64_t late; /* so late does the worker wake from waiting for a time */
        unsigned n_polls, n_requests;
        uint64_t guard;
} Fake;

extern Fake fake;

void fake_reset(bool kernel_debounces);
FakeChip *fake_chip(const char *name, const char *label, unsigned n_lines);
/* Something happens at that time; in the order of time. */
void fake_at(uint64_t at, FakeAction action, void *a, uint64_t b, uint64_t c);
/* For fake_at(): */
void fake_level(void *chip, uint64_t line, uint64_t level);
void fake_silently(void *chip, uint64_t line, uint64_t level); /* without an edge */
void fake_vanish(void *chip, uint64_t b, uint64_t c);
void fake_appear(void *chip, uint64_t b, uint64_t c);
void fake_hang_up(void *a, uint64_t b, uint64_t c);
/* From the daemon, now. */
void fake_say(WireType type, void *message);
/* Runs the worker until it leaves. Twice: the successor of a worker that was killed (`killed_at`: in the
 * middle of waiting, without another word; 0: never). */
void fake_run(uint64_t killed_at);
/* A new pair of ends for the next worker. */
void fake_connect(void);
