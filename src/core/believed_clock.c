/* SPDX-License-Identifier: Apache-2.0 */
#include "core/believed_clock.h"

void believed_clock_init(BelievedClock *c, const Now *now, int64_t last) {
        int64_t off = now->wall_usec - last;
        bool plausible = now->synced || last <= 0 || (off >= 0 && off <= BELIEVED_OFF_USEC);

        *c = (BelievedClock){
                .wall = plausible ? now->wall_usec : last, .boot = now->boot_usec, .synced = now->synced};
}

int64_t believed_clock_read(BelievedClock *c, const Now *now, int64_t *ret_step) {
        /* The boot clock of one boot does not run backwards. */
        uint64_t ran = now->boot_usec > c->boot ? now->boot_usec - c->boot : 0;
        int64_t expected = c->wall + (int64_t)ran, step = now->wall_usec - expected;

        if (!now->synced && (step > BELIEVED_STEP_USEC || step < -BELIEVED_STEP_USEC))
                step = 0;
        *c = (BelievedClock){.wall = expected + step, .boot = now->boot_usec, .synced = now->synced};
        *ret_step = step;
        return c->wall;
}
