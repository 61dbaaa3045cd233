/* SPDX-License-Identifier: Apache-2.0 */
/* Events, and the outbox of those that the backend has not acknowledged. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

typedef struct EventRow {
        uint64_t sequence;
        int64_t wall_usec;
        const char *type;    /* "parcel.stored" … */
        const char *subject; /* "parcel:17", "slot:12", "slot:P1/3", "person:4", "cabinet" */
        const char *data;    /* JSON object, masked */
        bool synced;
} EventRow;

typedef struct Record {
        const char *actor;  /* "courier:4711" "recipient" "operator:anna" "lockerd" */
        const char *reason; /* may be NULL */
        const char *type, *subject, *data;
        const char *secret; /* JSON for the backend only (a code), sealed in the outbox and scrubbed on
                               acknowledgement; may be NULL */
} Record;
/* Writes the event, its outbox row and its audit row. Inside a transaction only (-EINVAL). ret->strings are
 * those of `r`; `ret` may be NULL. */
int ledger_record(Ledger *l, const Record *r, const Now *now, EventRow *ret);

/* limit 0: all */
int ledger_event_each(Ledger *l, uint64_t after, unsigned limit,
                      int (*each)(void *userdata, const EventRow *e), void *userdata);
int ledger_outbox_length(Ledger *l, uint64_t *ret);
/* The next events to send, in order; secret is opened: NULL when there is none, "" when it cannot be. */
int ledger_outbox_each(Ledger *l, uint64_t after, unsigned limit,
                       int (*each)(void *userdata, const EventRow *e, const char *secret), void *userdata);
/* Removes routine events (doors that open and close normally, boards that go offline and online, failed
 * attempts, prompts) with after < sequence <= to from the outbox; the events stay in the ledger. Events of
 * parcels, codes, persons and slots, and alarms, are never removed. Inside a transaction. */
int ledger_outbox_summarise(Ledger *l, uint64_t after, uint64_t to, uint64_t *ret_dropped);
/* after < sequence <= to leave, secrets are scrubbed. */
int ledger_outbox_acknowledge(Ledger *l, uint64_t after, uint64_t to);
