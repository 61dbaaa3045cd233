/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets for the backend's eyes only, not for the broker's: JWE compact serialisation (RFC 7516) with
 * ECDH-ES on P-256 (RFC 7518, 4.6) and A256GCM. Every language has a library that opens it. */
#pragma once

#include "base/macros.h"
#include "message/strict_json.h"

typedef struct SealingKey SealingKey;

/* A public key on P-256 in PEM, "<id>.pem". 0; -EINVAL with a complaint; -ENOMEM. */
int sealing_key_load(SealingKey **ret, const char *path, char ret_complaint[MESSAGE_DETAIL_MAX]);
SealingKey *sealing_key_free(SealingKey *k);
DEFINE_CLEANUP(SealingKey *, sealing_key_free);

/* Fresh. -ENOMEM; -EIO: the library failed. */
int jwe_seal(const SealingKey *k, const void *plain, size_t n, char **ret);
/* The JSON object {"jwe": …} of a JSON object, to which is added what it belongs to: the cabinet, and the id
 * of an event or of a command (`what`), so that a broker cannot show it as another's. -EUCLEAN: no JSON
 * object. */
int jwe_seal_object(const SealingKey *k, const char *object, const char *cabinet, const char *what,
                    const char *id, json_t **ret);
