/* SPDX-License-Identifier: Apache-2.0 */
/* Signed messages: JWS compact serialisation (RFC 7515) with Ed25519 (RFC 8037), and the ring of public keys
 * that may sign. Everything that is optional in those documents is refused here: one algorithm, no critical
 * extensions, no key inside the message. */
#pragma once

#include "base/macros.h"
#include "message/strict_json.h"
#include <stdbool.h>

#define KEY_ID_MAX 63 /* characters: letters, digits, '.', '_', '-', not beginning with '.' */

typedef struct KeyRing KeyRing;

int key_ring_new(KeyRing **ret);
KeyRing *key_ring_free(KeyRing *ring);
DEFINE_CLEANUP(KeyRing *, key_ring_free);
/* 0; -EINVAL with a complaint: not one Ed25519 public key in PEM, or the id is not one; -EEXIST: the id is
 * taken; -ENOMEM. */
int key_ring_add(KeyRing *ring, const char *id, const void *pem, size_t n,
                 char ret_complaint[MESSAGE_DETAIL_MAX]);
size_t key_ring_size(const KeyRing *ring); /* NULL: 0 */
/* "backend-2026, backend-2027"; ends with "…" when there is no room for all. */
void key_ring_ids(const KeyRing *ring, char *ret, size_t room);

/* Loads every <id>.pem of a directory into a new ring; to load again, call it again and free the old one.
 * What cannot be used is left out and said, one line each; so is a directory that does not exist (the ring is
 * empty then). -ENOMEM only. */
typedef void (*KeyComplaint)(void *userdata, const char *line);
int key_ring_load(KeyRing **ret, const char *directory, KeyComplaint complain, void *userdata);

/* 0, or LOCKER_E_BAD_SIGNATURE when it is not this key's signature over these bytes or there is no such key.
 * -ENOMEM, -EIO. */
int key_ring_verify(const KeyRing *ring, const char *id, const void *message, size_t n,
                    const uint8_t signature[64]);

typedef struct Jws {
        char key[KEY_ID_MAX + 1]; /* who has signed; "" unless verified */
        char *payload; /* filled in as soon as it can be read, verified or not; ends with a NUL that is not
                          counted */
        size_t n_payload;
} Jws;
void jws_done(Jws *jws); /* erases */

/* Made of base64url characters and two dots: cannot be JSON. */
bool jws_is_compact(const void *text, size_t n);
/* 0, LOCKER_E_BAD_SIGNATURE with a detail for people, -ENOMEM, -EIO. ring may be NULL. */
int jws_verify(const KeyRing *ring, const void *text, size_t n, Jws *ret,
               char ret_detail[MESSAGE_DETAIL_MAX]);
