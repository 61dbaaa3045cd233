/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept in memory of the cabinet and of who is there, and the steps that every use case is made of;
 * inside of locker.h. Below it are the cabinet as it stands there (cabinet/hardware.h) and what is recorded
 * (records/records.h). */
#pragma once

#include "cabinet/hardware.h"
#include "core/pace.h"
#include "ledger/parcels.h"
#include "locker/locker.h"
#include "records/records.h"
#include <jansson.h>

typedef struct Errand Errand;
typedef struct Exposure Exposure;

typedef struct Enrolled Enrolled; /* authenticate.c */

struct Locker {
        /* The same as in `records`. */
        const Cabinet *cabinet;
        const Settings *settings;
        Ledger *ledger;
        People *people;
        Identity *identity;
        Now (*now)(void);
        uint8_t boot_id[16];
        Records records;
        Hardware hardware;

        Errand **holder;     /* [n_slots]: which errand has this slot */
        Exposure *exposed;   /* [n_locks] */
        uint64_t exposed_at; /* boot µs: look at them again; USEC_INFINITY */
        Session *sessions;
        Errand *errands;
        Enrolled *enrolling; /* who waits for an enrolment */

        uint64_t recover_until; /* the last movement that a former run left open; ids only grow */
        bool adopt_due;         /* what was written before the start could not be taken over yet */
        bool finding_due;       /* nor could it be said that this is not the ledger of last time */
        unsigned n_homeless; /* parcels in slots that the cabinet does not have (any more), found at the start
                              */
        bool recovered;      /* what a former run left open has been settled or marked */
        uint64_t recover_at, checkpoint_at;
        uint64_t moved_at; /* boot µs: a sensor of a slot said something else than before; 0: never */
        Attendance attendance;
        const char *backend_state; /* NULL: no backend */
        char backend_sentence[160];
        const char *link_state; /* NULL: no link */
        char link_sentence[160];
        const char *bluetooth_state; /* NULL: no Bluetooth */
        char bluetooth_sentence[160];
        const char *keys_state; /* NULL: no backend */
        char keys_sentence[160];
        bool clock_known, clock_synced, clock_vouched; /* what was last said of the clock */
};

/* --- what is recorded: records/records.h, by its Locker --- */
static inline int locker_begin(Locker *l) {
        return records_begin(&l->records);
}
static inline int locker_commit(Locker *l) {
        return records_commit(&l->records);
}
static inline int locker_end(Locker *l, int r) {
        return records_end(&l->records, r);
}
static inline void locker_rollback(Locker *l) {
        records_rollback(&l->records);
}
static inline int locker_record(Locker *l, const char *actor, const char *reason, const char *type,
                                const char *subject, json_t *data, const char *secret) {
        return records_add(&l->records, actor, reason, type, subject, data, secret);
}
static inline int locker_record_parcel(Locker *l, const char *actor, const char *reason, const ParcelRow *p,
                                       const char *secret) {
        return records_add_parcel(&l->records, actor, reason, p, secret);
}
static inline int64_t locker_wall(const Locker *l) {
        return records_moment(&l->records).wall;
}
/* Now, for the times `what` of a parcel; marked when they will have to be shifted. */
static inline int64_t locker_stamp(const Locker *l, ParcelRow *p, unsigned what) {
        Moment m = records_moment(&l->records);

        p->loose = m.vouched ? p->loose & ~what : p->loose | what;
        return m.wall;
}
static inline int locker_find_slot(const Locker *l, const char *label) {
        return hardware_find_slot(&l->hardware, label);
}
