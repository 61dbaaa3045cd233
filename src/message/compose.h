/* SPDX-License-Identifier: Apache-2.0 */
/* What the cabinet says: events, answers to commands, its state. Pure: no clock, no ledger, no network.
 * schema/mqtt describes it (AsyncAPI and JSON Schemas), and every message of the tests is validated against
 * that. Texts that are returned are fresh memory; those that may hold a code (events with a secret, answers)
 * are given up with text_erase_free(). */
#pragma once

#include "core/nearest.h"
#include "core/refusal.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define COMPOSE_EVENT_TYPE \
        "application/cloudevents+json; charset=utf-8" /* media type of events; all others: */
#define COMPOSE_JSON_TYPE "application/json"

typedef struct EventMessage {
        const char *epoch; /* of the ledger; NULL or empty: from before there were epochs */
        uint64_t sequence;
        int64_t wall_usec;
        const char *type, *subject; /* "parcel.stored", "parcel:17" */
        const char *data;           /* JSON object */
        const char *secret;         /* NULL, or the JSON object that goes into "secret" of data */
        bool synced;                /* the clock was, when it happened */
        bool offline;               /* it happened while nobody could be told */
} EventMessage;
/* CloudEvents 1.0, structured mode. -EUCLEAN: data or secret is no JSON object. */
int compose_event(const char *cabinet, const EventMessage *e, char **ret);

/* epoch: the ledger's. The answer: {"id","name","epoch","status":"done"|"refused"|"failed", "error",
 * "message", "result":{…}}. "refused": nothing was done; "failed": it was tried and did not succeed, or
 * nobody knows. detail NULL or empty: the refusal's own sentence. */
int compose_answer(const char *epoch, const char *id, const char *name, Refusal refusal, const char *detail,
                   json_t *result /* stolen, may be NULL */, char **ret);

/* What the retained state tells: the values of the Cabinet's properties on the bus. */
typedef struct StateSize {
        const char *name, *label;
        unsigned ordinal, capacity, free; /* positions: all of them, and those that a deposit could get now */
} StateSize;

typedef struct StateHealth {
        const char *component, *state, *sentence;
} StateHealth;

typedef struct StateMessage {
        const char *cabinet, *name, *address,
                *timezone;          /* address and timezone may be NULL or empty: left out */
        double latitude, longitude; /* NaN: not known */
        bool online;
        const StateSize *sizes;
        size_t n_sizes;
        const FreeKind *kinds; /* free positions in more detail; none: left out */
        size_t n_kinds;
        const StateHealth *health;
        size_t n_health;
        const char *version; /* lockerd */
        unsigned ledger_schema;
        const char *epoch;      /* of the ledger */
        const char *audit_head; /* "sequence:digest" of the audit chain */
        uint64_t last_event, outbox;
        bool clock_synced;
        bool clock_vouched;             /* by the believed clock: commands are judged by their expiry */
        const char *nonce;              /* NULL: left out */
        int64_t started_usec, now_usec; /* wall */
} StateMessage;
int compose_state(const StateMessage *s, char **ret);
/* What the broker publishes in the cabinet's place when the link breaks: nothing is known then but that. */
int compose_will(const char *cabinet, char **ret);
