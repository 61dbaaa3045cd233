/* SPDX-License-Identifier: Apache-2.0 */
/* Messages ↔ structs. Pure: no clock, no ledger, no network. What is said here is described in schema/mqtt
 * (AsyncAPI and JSON Schemas), and every message of the tests is validated against them. Texts that are
 * returned are fresh memory; those that may hold a code (events with a secret, answers) are given up with
 * text_erase_free(). */
#pragma once

#include "core/nearest.h"
#include "core/refusal.h"
#include "ledger/ledger.h"
#include "sync/jws.h"
#include <jansson.h>

#define COMMAND_ID_MAX      64 /* characters of a command's id: letters, digits, - _ . */
#define COMMAND_NAME_MAX    32
#define COMMAND_PAYLOAD_MAX (64 * 1024)

/* CloudEvents 1.0, structured mode. secret: NULL or the JSON object that goes into "secret" of data.
 * -EUCLEAN: data or secret is no JSON object. */
int codec_event(const char *cabinet, const EventRow *e, bool offline, const char *secret, char **ret);
#define CODEC_EVENT_TYPE "application/cloudevents+json; charset=utf-8" /* MQTT content type; all others: */
#define CODEC_JSON_TYPE  "application/json"

typedef struct Command {
        char id[COMMAND_ID_MAX + 1];
        char name[COMMAND_NAME_MAX + 1];
        int64_t expires_usec;     /* wall */
        bool is_signed;           /* by a key of the ring, for this cabinet, this name */
        char key[KEY_ID_MAX + 1]; /* whose; "" when not signed */
        json_t *arguments;        /* object */
} Command;
void command_done(Command *c); /* erases: an argument may be a PIN */

/* Reads a command (plain JSON or JWS) that came on the topic of this name. ret_detail: what is wrong, for
 * people. 0, a Refusal (INVALID_ARGUMENT, BAD_SIGNATURE, UNKNOWN_COMMAND), -ENOMEM, -EIO. Whatever can be
 * read of the id is filled in also on refusal, so that the answer can name it; arguments are NULL then. The
 * arguments are the table's to check (sync/arguments.h), the expiry is the caller's, who has a clock. ring
 * NULL: no keys. */
int codec_command(const char *cabinet, const char *name, const void *payload, size_t n, const KeyRing *ring,
                  Command *ret, char ret_detail[SYNC_DETAIL_MAX]);

/* The answer: {"id","name","status":"done"|"refused"|"failed", "error", "message", "result":{…}}. "refused":
 * nothing was done; "failed": it was tried and did not succeed, or nobody knows. detail NULL or empty: the
 * refusal's own sentence. */
int codec_answer(const char *id, const char *name, Refusal refusal, const char *detail,
                 json_t *result /* stolen, may be NULL */, char **ret);

/* What the retained state tells: the values of the Cabinet's properties on the bus. */
typedef struct StateSize {
        const char *name, *label;
        unsigned ordinal, capacity, free; /* positions: all of them, and those that a deposit could get now */
} StateSize;

typedef struct StateHealth {
        const char *component, *state, *sentence;
} StateHealth;

typedef struct State {
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
        const char *audit_head; /* AUDIT_HEAD_MAX */
        uint64_t last_event, outbox;
        bool clock_synced;
        int64_t started_usec, now_usec; /* wall */
} State;
int codec_state(const State *s, char **ret);
/* What the broker publishes in the cabinet's place when the link breaks: nothing is known then but that. */
int codec_will(const char *cabinet, char **ret);
