/* SPDX-License-Identifier: Apache-2.0 */
#include "core/believed_clock.h"

void believed_clock_init(BelievedClock *c, const Now *now, int64_t last, bool bound) {
        int64_t off = now->wall_usec - last;

        *c = (BelievedClock){.wall = last > 0 ? last : now->wall_usec,
                             .boot = now->boot_usec,
                             .bound = last > 0 && bound,
                             .ahead = last > 0 && off >= 0 && off <= BELIEVED_OFF_USEC ? off : 0};
}

Moment believed_clock_moment(const BelievedClock *c, uint64_t boot_usec) {
        /* The boot clock of one boot does not run backwards. */
        uint64_t ran = boot_usec > c->boot ? boot_usec - c->boot : 0;
        int64_t wall = c->wall + (int64_t)ran;

        return (Moment){
                .wall = wall, .not_before = c->bound ? wall : 0, .vouched = boot_usec < c->vouched_until};
}

void believed_clock_read(BelievedClock *c, const Now *now, int64_t *ret_step) {
        Moment counted = believed_clock_moment(c, now->boot_usec);

        *ret_step = 0;
        if (!now->synced)
                return;
        *ret_step = now->wall_usec - counted.wall;
        *c = (BelievedClock){.wall = now->wall_usec,
                             .boot = now->boot_usec,
                             .vouched_until = now->boot_usec + BELIEVED_TERM_USEC,
                             .bound = true};
}
