/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, one epoll, one timer descriptor. Timers are members of their owners and fire with the
 * time they were due, so that a late wake-up does not shift later events. Time: CLOCK_BOOTTIME, ns. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC  UINT64_C(1000000000)

typedef struct Timer {
        void (*fire)(void *userdata, uint64_t due);
        void *userdata;
        uint64_t due;
        size_t place; /* in the heap, counted from 1; 0 = not armed */
} Timer;

typedef struct Source {
        void (*ready)(void *userdata, uint32_t events);
        void *userdata;
} Source;

typedef struct Loop {
        int epoll_fd, timer_fd;
        Timer **heap;
        size_t n_heap, n_room;
        uint64_t armed; /* what timer_fd is set to; 0 = nothing */
        bool stop;
} Loop;

static inline uint64_t loop_now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

int loop_open(Loop *l);
void loop_close(Loop *l);
/* The Source must stay where it is while it is watched. */
int loop_watch(Loop *l, int fd, uint32_t events, Source *source);
int loop_change(Loop *l, int fd, uint32_t events, Source *source);
void loop_unwatch(Loop *l, int fd);
/* Arms or moves a timer; out of memory ends the program: a simulator without its timers gives wrong
 * results. */
void loop_arm(Loop *l, Timer *t, uint64_t due);
void loop_disarm(Loop *l, Timer *t);
static inline bool timer_armed(const Timer *t) {
        return t->place > 0;
}
int loop_run(Loop *l);
