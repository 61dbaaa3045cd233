/* SPDX-License-Identifier: Apache-2.0 */
/* A command from outside (JSON, or JSON signed as a JWS), read strictly. Pure: no clock, no ledger, no
 * network. schema/mqtt describes what is read here, and every message of the tests is validated against it.
 */
#pragma once

#include "core/refusal.h"
#include "message/jws.h"
#include <jansson.h>

#define COMMAND_ID_MAX      64 /* characters of a command's id: letters, digits, - _ . */
#define COMMAND_NAME_MAX    32
#define COMMAND_EPOCH_MAX   16 /* hexadecimal digits */
#define COMMAND_NONCE_MAX   64
#define COMMAND_PAYLOAD_MAX (64 * 1024)

typedef struct RemoteCommand {
        char id[COMMAND_ID_MAX + 1];
        char name[COMMAND_NAME_MAX + 1];
        int64_t expires_usec;              /* wall */
        char nonce[COMMAND_NONCE_MAX + 1]; /* of the cabinet's state; "" when not given */
        bool is_signed;                    /* by a key of the ring, for this cabinet, this name */
        char key[KEY_ID_MAX + 1];          /* whose; "" when not signed */
        char epoch[COMMAND_EPOCH_MAX + 1]; /* of the ledger that it is for; "": it does not say */
        json_t *arguments;                 /* object */
} RemoteCommand;
void remote_command_done(RemoteCommand *c); /* erases: an argument may be a PIN */

#define COMMAND_DIGEST_MAX 65
/* SHA-256 of the arguments, whatever their order, in hexadecimal digits: to know them again. -ENOMEM. */
int remote_command_digest(const RemoteCommand *c, char ret[COMMAND_DIGEST_MAX]);

/* name: the command that the sender has addressed (MQTT: the end of the topic). ret_detail: what is wrong,
 * for people. 0, a Refusal (INVALID_ARGUMENT, BAD_SIGNATURE, UNKNOWN_COMMAND), -ENOMEM, -EIO. Whatever can be
 * read of the id is filled in also on refusal, so that the answer can name it; arguments are NULL then. The
 * arguments are the table's to check (message/arguments.h), the expiry is the caller's, who has a clock. ring
 * NULL: no keys. */
int remote_command_parse(const char *cabinet, const char *name, const void *payload, size_t n,
                         const KeyRing *ring, RemoteCommand *ret, char ret_detail[MESSAGE_DETAIL_MAX]);
