/* SPDX-License-Identifier: Apache-2.0 */
/* Errands under way: the machine (core/errand.h), run. */
#pragma once

#include "cabinet/hardware.h"
#include "core/access.h"
#include "core/errand.h"
#include "ledger/parcels.h"
#include "locker/locker.h"

typedef struct Errand Errand;
typedef struct Deposit Deposit;

/* One errand at one place: the machine (core/errand.h), and what it is about. Its session may end; it goes on
 * until its slot is nobody's. */
struct Errand {
        Errand *next;
        Locker *locker;
        ErrandMachine m;
        Session *session;    /* NULL: nobody is there any more, or never was */
        uint64_t session_id; /* for the ledger; 0: none */
        char actor[LABEL_MAX + 16];
        const char *why;    /* static; for the events of its parcel; NULL */
        uint64_t parcel;    /* 0: none */
        int slot, position; /* indices; position -1: the door alone */
        Opening *opening;   /* committed; under way in OPENING */
        LockerReply reply;  /* of the pending request */
        void *reply_userdata;
        ParcelChoice
                choice; /* what was said; written at once, or at retry_at when the ledger could not take it */
        uint64_t retry_at;      /* boot µs; USEC_INFINITY */
        int result;             /* why the request is refused */
        const char *quarantine; /* why nothing else may be put there; written with what comes next; NULL */
        char *reason;           /* an operator's; NULL */
        bool reported_open;
        bool deserted; /* its session idles although its door is open: session_look_for_person() */
        Deposit *deposit;
};

/* In OPENING, holding its slot; whatever the session had before gives way. opening: committed. */
int errand_new(Locker *l, ErrandKind kind, Session *s, int slot, int position, Errand **ret);
/* When it is done, or has never begun because its transaction failed: then nothing of it has happened. */
Errand *errand_free(Errand *e);
/* After the commit: the slot and the session are its, and its locks begin to move. */
void errand_begin(Errand *e, LockerReply reply, void *userdata);
void errand_event(Errand *e, ErrandEvent event);
/* May the person say that now? Refusal; the errand. No side effect. */
int errand_ask(Session *s, Act act, ErrandEvent event, Errand **ret);
void errand_start(Errand *e); /* what errand_intend() has written */
void errand_expect_reply(Errand *e, LockerReply reply, void *userdata);
void errand_answer(Errand *e, int result, const char *detail);
int errand_intend(Errand *e, const char *why, bool insist); /* in a transaction: e->opening */
void errand_log_quarantined(const Errand *e, const char *why);
void errand_hold(Errand *e);            /* its slot */
void errands_look(Locker *l, int slot); /* its sensors have changed */
void errands_tick(Locker *l, const Now *now);
uint64_t errands_next_deadline(const Locker *l);
ErrandView errand_view(const Errand *e);
int errand_write_choice(Errand *e, ParcelChoice choice); /* 0 also when it has to be tried again */
