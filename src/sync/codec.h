/* SPDX-License-Identifier: Apache-2.0 */
/* Messages ↔ structs. Pure: no clock, no ledger, no network. What is said here is described in schema/mqtt (AsyncAPI and JSON Schemas), and
 * every message of the tests is validated against them. */
#pragma once

#include "core/refusal.h"
#include "ledger/ledger.h"
#include <jansson.h>

#define COMMAND_ID_MAX   64 /* characters of a command's id: letters, digits, - _ . */
#define COMMAND_NAME_MAX 32

/* CloudEvents 1.0, structured mode. secret: NULL or the JSON object that goes into "secret" of data. */
int codec_event(const char *cabinet, const EventRow *e, bool offline, const char *secret, char **ret);

typedef struct Command {
        char id[COMMAND_ID_MAX + 1];
        char name[COMMAND_NAME_MAX + 1];
        int64_t expires_usec; /* wall */
        bool is_signed;       /* by a key of the ring, for this cabinet, this name */
        char key[64];         /* whose */
        json_t *arguments;    /* object */
} Command;
void command_done(Command *c);

/* Reads a command (plain JSON or JWS). ret_detail: what is wrong, for people. 0, a Refusal (INVALID_ARGUMENT, BAD_SIGNATURE), -ENOMEM. Whatever can be read of
 * the id is filled in also on refusal, so that the answer can name it. */
typedef struct KeyRing KeyRing;
int codec_command(const char *cabinet, const char *name, const void *payload, size_t n, const KeyRing *ring, Command *ret, char ret_detail[256]);

/* The answer: {"id","name","status":"done"|"refused"|"failed", "error", "message", "result":{…}} */
int codec_answer(const char *id, const char *name, Refusal refusal, const char *detail, json_t *result /* stolen, may be NULL */, char **ret);
