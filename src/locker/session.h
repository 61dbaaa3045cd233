/* SPDX-License-Identifier: Apache-2.0 */
/* A session: one person at a terminal; inside of locker.h. */
#pragma once

#include "core/credential.h"
#include "locker/locker.h"

typedef struct Errand Errand;

struct Session {
        Session *next;
        Locker *locker;
        uint64_t id;
        SessionKind kind;
        SessionState told; /* what the listeners know; see session_refresh() */
        bool gone;         /* ended; freed by the next tick */
        bool with_errand;  /* ends when its errand does */
        bool apart;        /* its terminal is one of the street */
        char terminal[LABEL_MAX];
        char actor[LABEL_MAX + 16];
        void *userdata;

        /* who: set by authentication */
        uint64_t person;
        char courier_number[LABEL_MAX + 1];
        uint64_t code_parcel;
        unsigned presented;      /* kinds of credentials (bits) that were right for this person */
        bool vouched;            /* another door has said who it is */
        Verification *job;       /* under way */
        CredentialKind job_kind; /* of what is under way */
        bool enrolling;          /* a credential of their own is; `reply` waits for it */

        /* what: the errand at hand (also one that is only kept for reopening), and the last parcel */
        Errand *errand;
        uint64_t parcel;
        bool had_errand;
        Placement *queue; /* of a take-back */
        size_t n_queue, queue_at;
        int take_back_result; /* why none of its doors has opened so far */

        /* The pending request, unless an errand has it. */
        LockerReply reply;
        void *reply_userdata;

        uint64_t idle_at; /* boot µs */
};
