/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line with Modbus boards, its clock and the daemon, in memory: what lockerd-line asks, and what it
 * makes of what it hears. Time goes on only while the worker waits. */
#pragma once

#include "line/worker.h"

#define FAKE_BOARDS 8

typedef enum FakeFault {
        FAKE_FINE,
        FAKE_DROPPED,   /* no response */
        FAKE_DAMAGED,   /* a bit of it is another */
        FAKE_TRUNCATED, /* its end is missing */
        FAKE_NOISY,     /* bytes before it */
        FAKE_FAULT_MAX
} FakeFault;

typedef struct FakeBoard {
        uint8_t inputs; /* as they are now */
        bool silent;
        uint64_t requests; /* heard so far */
} FakeBoard;

typedef struct FakeLine {
        uint64_t now, random;
        unsigned bad; /* so many of a thousand responses are */
        FakeBoard boards[FAKE_BOARDS];
        unsigned n_boards;
        uint64_t requests;
        bool bytewise;  /* a response comes byte by byte, not all at once */
        uint64_t waits; /* that have taken time */
        /* As the daemon hears it. */
        void (*heard)(WireType type, const void *message);
        /* What happens by itself: called when the worker waits past `next`, which it moves. */
        void (*happens)(void);
        uint64_t next;
} FakeLine;

extern FakeLine fake;
extern Worker fake_worker;

/* Boards with eight outputs and inputs at 9600 baud, addresses from 1. Somebody is at the cabinet. */
void fake_reset(unsigned n_boards);
uint64_t fake_dice(uint64_t n);
void fake_run(uint64_t until);
