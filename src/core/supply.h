/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of a power supply: locks energised at the same time, cooldown between pulses. Pure. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"

#define SUPPLY_ACTIVE_MAX 16

typedef struct SupplyState {
        unsigned max_active;
        uint64_t cooldown_usec;
        unsigned n_active;
        struct {
                uint64_t token; /* who */
                uint64_t until; /* boot µs at which the pulse is certainly over, even without a response */
        } active[SUPPLY_ACTIVE_MAX];
        uint64_t not_before; /* boot µs: cooldown, or a pulse that a former daemon may have started */
} SupplyState;

void supply_init(SupplyState *s, unsigned max_active, uint64_t cooldown_usec, uint64_t not_before);
/* Reserves capacity for `token` until `worst_end`. false: not now; ask again at supply_next_change(). */
bool supply_acquire(SupplyState *s, uint64_t token, uint64_t now_boot, uint64_t worst_end);
/* The pulse of `token` is known to end (or have ended) at `end`. */
void supply_release(SupplyState *s, uint64_t token, uint64_t end);
void supply_tick(SupplyState *s, uint64_t now_boot);
uint64_t supply_next_change(const SupplyState *s, uint64_t now_boot); /* boot µs or USEC_INFINITY */
