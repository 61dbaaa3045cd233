/* SPDX-License-Identifier: Apache-2.0 */
/* A cabinet in memory behind lock/locks.h: doors and lids with latches and motors, boards that fall silent,
 * sensors that are read late, items. What is physical stays when the daemon is killed; Locks is the daemon's
 * side of it. Time is the test's. */
#pragma once

#include "lock/locks.h"

typedef struct FakeLock {
        bool shut;   /* pushed home */
        bool bolted; /* latch or motor bolt */
        bool jammed; /* a pulse does nothing */
        bool late;   /* … at once, but after some seconds */
        bool leaned; /* a pulse unlatches it, and it stays shut */
        bool worn;   /* a latch that does not catch when it is pushed home; a motor that does not lock */
        uint64_t lets_go_at;           /* boot µs; USEC_INFINITY */
        uint64_t opened_at, pulsed_at; /* boot µs: the last time; 0 */
} FakeLock;

typedef struct FakeWorld {
        const Cabinet *cabinet;
        uint64_t now; /* boot µs */
        uint64_t random;
        FakeLock *locks;
        bool *occupied;        /* [n_positions] what really lies there */
        bool *sensor_wrong;    /* [n_positions] presence says the opposite */
        bool *pressed, *alarm; /* safety inputs */
        bool *silent;          /* [n_boards] */
        bool *deaf;            /* [n_boards] refuses commands */
        bool prompt;           /* nothing comes late */
        /* Told before a command is queued. */
        void (*commanded)(void *userdata, int lock, LockAction action, bool urgent);
        void *userdata;
} FakeWorld;

FakeWorld *fake_world_new(const Cabinet *c);
void fake_world_free(FakeWorld *w);
uint64_t fake_dice(FakeWorld *w, uint64_t n);

/* People and things. */
bool fake_door_gives(const FakeWorld *w, int lock);    /* it can be pulled open, or is */
bool fake_reachable(const FakeWorld *w, int position); /* open all the way */
void fake_pull(FakeWorld *w, int lock);
void fake_push(FakeWorld *w, int lock);
/* Whatever was changed by hand (the arrays above included) is noticed by the boards from now on. */
void fake_changed(FakeWorld *w);

/* The daemon's side. Before the next one, the former one is freed. */
Locks *fake_locks_new(FakeWorld *w, const LocksHandlers *handlers, void *userdata);
void fake_locks_free(Locks *l);
uint64_t fake_locks_next(const Locks *l); /* boot µs of what comes next; USEC_INFINITY */
void fake_locks_run(Locks *l);            /* one thing, if it is due */
