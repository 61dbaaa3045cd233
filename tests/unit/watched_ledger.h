/* SPDX-License-Identifier: Apache-2.0 */
/* Stands between the use cases and the real ledger (the linker's --wrap): lets writes fail, and remembers
 * what was committed of parcels and of intents, so that a test can judge each of it at once. */
#pragma once

#include "ledger/parcels.h"

#define WATCHED_PARCELS_MAX 400000
#define WATCHED_INTENTS_MAX 256

typedef struct WatchedParcel {
        bool known, taking_back;
        ParcelState state, was;
        ParcelChoice choice;
        char slot[8];
        unsigned position;
} WatchedParcel;

typedef struct WatchedIntent {
        uint64_t id;
        char slot[8], why[16];
        unsigned position;
        bool unlock, stale; /* stale: of a former run */
} WatchedIntent;

typedef struct WatchedLedger {
        WatchedParcel *parcels; /* by id */
        WatchedIntent intents[WATCHED_INTENTS_MAX];
        int n_intents;
        unsigned fail_one_in; /* writes; 0: never */
        bool full;            /* all of them fail */
        unsigned long failures, commits;
        /* A parcel became something; committed. */
        void (*changed)(uint64_t id, const WatchedParcel *before, const WatchedParcel *now);
        /* The transaction in which that was written. */
        struct {
                bool open;
                struct {
                        uint64_t id;
                        WatchedParcel p;
                } parcels[64];
                int n_parcels;
                WatchedIntent intents[16];
                int n_intents;
                uint64_t settled[64];
                int n_settled;
        } now;
} WatchedLedger;

extern WatchedLedger watched;
void watched_restart(void); /* the daemon is gone: what it was about to write is lost */
bool watched_has_intent(const char *slot, unsigned position, bool unlock);
uint64_t watched_dice(uint64_t n);
extern uint64_t watched_random;
