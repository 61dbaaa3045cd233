/* SPDX-License-Identifier: Apache-2.0 */
/* The present time, read once an iteration of the event loop and passed as a parameter: no code below the
 * wiring reads a clock. Waits use boot_usec (never jumps, counts suspend); calendar rules use wall_usec. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_INFINITY UINT64_MAX

typedef struct Now {
        uint64_t boot_usec; /* CLOCK_BOOTTIME, µs */
        int64_t wall_usec;  /* CLOCK_REALTIME, µs since 1970 UTC */
        bool synced; /* the kernel says that the wall clock is disciplined (adjtimex without STA_UNSYNC) */
} Now;

/* Reads the clocks. Only the wiring (src/daemon), the workers and tests call this. */
Now clock_now(void);
