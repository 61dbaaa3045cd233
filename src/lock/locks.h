/* SPDX-License-Identifier: Apache-2.0 */
/* The locks as the daemon sees them: commands in, facts out. Behind it one worker process a line
 * (lockerd-line), so that nothing here ever blocks, and the supplies, so that never more is energised at once
 * than allowed. */
#pragma once

#include "core/cabinet.h"
#include "core/door.h"
#include "lockwire/types.h"
#include <systemd/sd-event.h>

typedef struct Locks Locks;

typedef enum FactKind {
        FACT_CONTACT,  /* index: lock; yes = closed */
        FACT_LATCH,    /* index: lock; yes = locked */
        FACT_PRESENCE, /* index: position; yes = occupied */
        FACT_RELEASE,  /* index: slot; yes = inside release pressed */
        FACT_ALARM,    /* index: alarm; yes = active */
} FactKind;

typedef struct Fact {
        FactKind kind;
        int index;
        Tri value;        /* unknown: the board does not answer */
        uint64_t at_boot; /* boot µs at which the board said so */
} Fact;

/* An input that changes far more often than doors and people do. Its value is unknown until it has rested; an
 * alarm input or inside release keeps its meaning. */
typedef struct FactChatter {
        FactKind kind;
        int index;
        bool over;        /* it has rested */
        uint64_t changes; /* so many … */
        uint64_t usec;    /* … in that time */
} FactChatter;

typedef enum LockAction {
        LOCK_ACTION_UNLOCK,
        LOCK_ACTION_SECURE, /* motor locks: shut */
} LockAction;

typedef struct LocksHandlers {
        /* Changes, and the first value of every input. Facts of one answer come in one batch, contacts and
         * latches of a lock next to each other; `more` says that another fact of the same batch follows. */
        void (*fact)(void *userdata, const Fact *fact, bool more);
        /* After the facts, if any: the inputs of this board have been read, see locks_seen(). Told with every
         * change, and after locks_look(). */
        void (*seen)(void *userdata, int board);
        /* Told before the facts that follow from it. */
        void (*chatter)(void *userdata, const FactChatter *chatter);
        void (*result)(void *userdata, uint64_t command, LockResult result, uint64_t at_boot);
        void (*board)(void *userdata, int board, BoardHealth health, const char *sentence);
        void (*line)(void *userdata, int line, bool working, const char *sentence); /* worker or device */
} LocksHandlers;

typedef struct LocksOptions {
        const char *worker_directory;
} LocksOptions;

int locks_new(Locks **ret, sd_event *event, const Cabinet *cabinet, const LocksOptions *options,
              const LocksHandlers *handlers, void *userdata);
/* Starts the workers. Every board is first told all-off and identified. */
int locks_start(Locks *l);
/* Says that a command for this lock comes as soon as the ledger has taken it, so that its line does not begin
 * a poll just before. Nothing is owed: the line polls on after a moment. */
void locks_expect(Locks *l, int lock);
/* Queues one pulse. `expires`: boot µs after which it must not be sent any more (NOT_SENT). Exactly one
 * result follows, never from inside this call. `urgent` goes ahead of other commands (safety release). */
int locks_command(Locks *l, uint64_t command, int lock, LockAction action, uint64_t expires, bool urgent);
/* Withdraws a command that has not been sent; its result (NOT_SENT) follows as always. */
void locks_withdraw(Locks *l, uint64_t command);
/* Whether somebody is at the cabinet: whoever is there does not wait for inputs that are read slowly. */
void locks_attend(Locks *l, bool attended);
/* The lamp of a slot, if it has one; all are off at first, and when the daemon is gone. */
void locks_lamp(Locks *l, int slot, bool on);
BoardHealth locks_board_health(const Locks *l, int board);
Tri locks_fact(const Locks *l, FactKind kind, int index); /* last believed value */
/* Boot µs since which no sensor of this lock has been read; 0: one of them is silent, or there is none.
 * Without locks_look() that is the last change of any input of their boards. */
uint64_t locks_seen(const Locks *l, int lock);
/* Asks for the sensors of this lock: the handler `seen` tells when they have been read, whatever they say. */
void locks_look(Locks *l, int lock);
bool locks_ready(const Locks *l); /* every board has been identified or given up on once */
/* Asks the workers to switch everything off and leave; waits at most a second. */
Locks *locks_free(Locks *l);
DEFINE_CLEANUP(Locks *, locks_free);
