/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/loop.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

int loop_open(Loop *l) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

        *l = (Loop){.epoll_fd = -1, .timer_fd = -1};
        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        l->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (l->epoll_fd < 0 || l->timer_fd < 0)
                return -errno;
        return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->timer_fd, &ev) < 0 ? -errno : 0;
}

void loop_close(Loop *l) {
        closep(&l->epoll_fd);
        closep(&l->timer_fd);
        free(l->heap);
        *l = (Loop){.epoll_fd = -1, .timer_fd = -1};
}

int loop_watch(Loop *l, int fd, uint32_t events, Source *source) {
        struct epoll_event ev = {.events = events, .data.ptr = source};

        return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int loop_change(Loop *l, int fd, uint32_t events, Source *source) {
        struct epoll_event ev = {.events = events, .data.ptr = source};

        return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0 ? -errno : 0;
}

void loop_unwatch(Loop *l, int fd) {
        (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void heap_put(Loop *l, size_t place, Timer *t) {
        l->heap[place] = t;
        t->place = place;
}

static void heap_settle(Loop *l, Timer *t, size_t place) {
        for (; place > 1 && l->heap[place / 2]->due > t->due; place /= 2)
                heap_put(l, place, l->heap[place / 2]);
        for (;;) {
                size_t child = place * 2;
                if (child > l->n_heap)
                        break;
                if (child < l->n_heap && l->heap[child + 1]->due < l->heap[child]->due)
                        child++;
                if (l->heap[child]->due >= t->due)
                        break;
                heap_put(l, place, l->heap[child]);
                place = child;
        }
        heap_put(l, place, t);
}

void loop_arm(Loop *l, Timer *t, uint64_t due) {
        loop_disarm(l, t);
        if (l->n_heap + 2 > l->n_room) {
                size_t room = l->n_room ? l->n_room * 2 : 64;
                Timer **heap = reallocarray(l->heap, room, sizeof(*heap));
                if (!heap) {
                        perror("locksim: timers");
                        abort();
                }
                l->heap = heap;
                l->n_room = room;
        }
        t->due = due;
        heap_settle(l, t, ++l->n_heap);
}

void loop_disarm(Loop *l, Timer *t) {
        if (!t->place)
                return;
        size_t place = t->place;
        Timer *last = l->heap[l->n_heap--];
        t->place = 0;
        if (last != t)
                heap_settle(l, last, place);
}

static void set_timer(Loop *l) {
        uint64_t due = l->n_heap ? l->heap[1]->due : 0;
        struct itimerspec spec = {0};

        if (due == l->armed)
                return;
        spec.it_value.tv_sec = (time_t)(due / NSEC_PER_SEC);
        spec.it_value.tv_nsec = (long)(due % NSEC_PER_SEC);
        if (timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
                l->armed = due;
}

static void fire_timers(Loop *l) {
        while (l->n_heap && !l->stop) {
                Timer *t = l->heap[1];
                if (t->due > loop_now())
                        return;
                loop_disarm(l, t);
                t->fire(t->userdata, t->due);
        }
}

int loop_run(Loop *l) {
        struct epoll_event ev[1];

        while (!l->stop) {
                fire_timers(l);
                if (l->stop)
                        break;
                set_timer(l);
                /* One event a turn: a handler may free the source of the next one. */
                int n = epoll_wait(l->epoll_fd, ev, 1, -1);
                if (n < 0 && errno != EINTR)
                        return -errno;
                for (int i = 0; i < n; i++) {
                        const Source *s = ev[i].data.ptr;
                        uint64_t ticks;
                        if (s)
                                s->ready(s->userdata, ev[i].events);
                        else if (read(l->timer_fd, &ticks, sizeof(ticks)) == (ssize_t)sizeof(ticks))
                                l->armed = 0;
                }
        }
        return 0;
}
