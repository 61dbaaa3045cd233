/* SPDX-License-Identifier: Apache-2.0 */
/* Live parcels, and the way of an ended one into the history. Errors as in ledger.h. */
#pragma once

#include "core/cabinet.h"
#include "core/parcel_life.h"
#include "ledger/ledger.h"

/* Times that are shifted when the clock is put right (records/calendar.c). */
enum { LOOSE_STORED = 1, LOOSE_EXPIRES = 2 };

typedef struct ParcelRow {
        uint64_t id;
        ParcelState state;
        char slot[LABEL_MAX]; /* "" without a position */
        unsigned position;
        char size[LABEL_MAX];
        char *waybill;           /* may be NULL */
        char *recipient, *phone; /* plaintext in memory, sealed in the file; may be NULL */
        uint64_t person;         /* the enrolled recipient, or 0 */
        uint64_t courier;        /* person id, or 0 */
        char courier_number[LABEL_MAX + 1];
        int64_t created, stored, expires, ended; /* wall µs; 0 = not (yet) */
        /* Of live parcels only. */
        ParcelChoice choice; /* what was said at the open door */
        bool taking_back;    /* a courier's take-back of it is under way */
        ParcelState was; /* stored, unverified, rejected, recalled: before it was being collected or became
                            unverified; PARCEL_ANNOUNCED: nothing to remember */
        bool doubted;    /* what lies there is not known: nobody opens it until an operator has found it. Ends
                            by itself with any other state than unverified */
        /* Wishes for its position, kept from the announcement on; written by ledger_parcel_insert() alone. */
        Temperature temperature;
        bool accessible, larger;
        unsigned loose; /* LOOSE_…: written while nobody vouched for the calendar */
} ParcelRow;
void parcel_row_done(ParcelRow *p);
static inline void parcel_row_donep(ParcelRow *p) {
        parcel_row_done(p);
}
/* May its recipient have it? Not what was rejected or recalled before it became unverified, nor what is
 * doubted. */
bool parcel_is_recipients(const ParcelRow *p);
#define _cleanup_parcel_ _cleanup_(parcel_row_donep)

/* Sets id, which is never used again. State: one that may begin. Announced has no place, all others have one.
 * -EEXIST: taken. */
int ledger_parcel_insert(Ledger *l, ParcelRow *p);
int ledger_parcel_get(Ledger *l, uint64_t id, ParcelRow *ret);     /* live ones; -ENOENT */
int ledger_parcel_history(Ledger *l, uint64_t id, ParcelRow *ret); /* ended ones; -ENOENT */
int ledger_parcel_at(Ledger *l, const char *slot, unsigned position, ParcelRow *ret); /* live; -ENOENT */
/* Stores everything but id and created; of waybill, recipient and phone what is not NULL. A final state
 * stores no new recipient or phone, needs `ended` and moves the parcel to the history, with its code erased.
 * The transition is checked against the life-cycle table once more (-EINVAL). -EEXIST: the place is taken.
 * -ENOENT: not a live parcel. */
int ledger_parcel_update(Ledger *l, const ParcelRow *p);
/* All parcels that may be inside become unverified and doubted. */
int ledger_parcel_doubt_all(Ledger *l, uint64_t *ret_n);
int ledger_parcel_doubt(Ledger *l, uint64_t id); /* one of them; -ENOENT: it is none */
/* Live parcels, oldest first. The rows' strings are filled. */
typedef int (*ParcelEach)(void *userdata, const ParcelRow *p);
int ledger_parcel_each(Ledger *l, ParcelEach each, void *userdata);
/* Those with loose times. */
int ledger_parcel_each_loose(Ledger *l, int (*each)(void *userdata, uint64_t id), void *userdata);
int ledger_parcel_each_of_person(Ledger *l, uint64_t person, ParcelEach each, void *userdata);
int ledger_parcel_each_of_phone_tail(Ledger *l, const char *tail4, ParcelEach each, void *userdata);
int ledger_parcel_each_of_waybill(Ledger *l, const char *waybill, ParcelEach each, void *userdata);
int ledger_parcel_each_in_slot(Ledger *l, const char *slot, ParcelEach each, void *userdata);
/* Only id, state, slot, position, expiry: for maps and allocation. NULL: all live parcels, announced ones
 * (slot "") too. */
typedef struct PlaceRow {
        uint64_t id;
        ParcelState state;
        char slot[LABEL_MAX];
        unsigned position;
        int64_t expires;
} PlaceRow;
int ledger_place_each(Ledger *l, const char *slot_or_null, int (*each)(void *userdata, const PlaceRow *p),
                      void *userdata);
