/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pace.h"
#include "base/macros.h"

void pace_stir(Pace *p, uint64_t now) {
        p->fast_until = MAX(p->fast_until, now + PACE_LINGER_USEC);
}

void pace_attend(Pace *p, bool attended, uint64_t now) {
        if (p->attended != attended)
                pace_stir(p, now);
        p->attended = attended;
}

bool pace_is_fast(const Pace *p, bool doubt, uint64_t now) {
        return doubt || p->attended || now < p->fast_until;
}

uint64_t pace_next(const Pace *p, unsigned idle_ms, bool doubt, uint64_t began, uint64_t now) {
        uint64_t interval = pace_is_fast(p, doubt, now) ? PACE_FAST_USEC : idle_ms * USEC_PER_MSEC;

        return MAX(now, began + interval);
}

void attendance_look(Attendance *a, const Presence *p, uint64_t now) {
        uint64_t shut_at = p->open && p->moved_at ? p->moved_at + p->open_usec : 0;

        if (p->session || p->moving) {
                a->attended = true;
                a->until = USEC_INFINITY;
                return;
        }
        if (a->attended && a->until == USEC_INFINITY) /* the session or movement has just ended */
                a->until = now + ATTEND_LINGER_USEC;
        if (now < shut_at) {
                a->until = a->attended ? MAX(a->until, shut_at) : shut_at;
                a->attended = true;
        }
        if (a->attended && now >= a->until)
                a->attended = false;
}

uint64_t attendance_next(const Attendance *a) {
        return a->attended ? a->until : USEC_INFINITY;
}
