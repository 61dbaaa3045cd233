/* SPDX-License-Identifier: Apache-2.0 */
/* The pickup code that cabinet, handheld and backend each compute for a deposit, without a network between
 * them (docs/link.md, OFFLINE CODES). Pure: which bytes are hashed, and which symbols come of the hash. The
 * HKDF and the HMAC themselves are the vault's (ledger/vault.h). */
#pragma once

#include "core/code.h"
#include <stddef.h>
#include <stdint.h>

#define OFFLINE_KEY_SIZE 32 /* of a deposit */
#define OFFLINE_MAC_SIZE 32
#define OFFLINE_TEXT_MAX 255 /* bytes of a cabinet's number, of a slot's label; longer ones are cut */
#define OFFLINE_DATA_MAX (32 + 2 * (1 + OFFLINE_TEXT_MAX) + 16)

typedef struct OfflineDeposit {
        const char *cabinet; /* number */
        const char *slot;    /* label */
        int64_t usec;        /* the recorded time of the deposit, µs since 1970 UTC, never negative */
        uint64_t parcel;
} OfflineDeposit;

/* The `info` of the HKDF that makes the key of a deposit. Returns its length. */
size_t offline_key_info(const OfflineDeposit *d, uint8_t ret[OFFLINE_DATA_MAX]);
/* What is hashed with that key. Returns its length. */
size_t offline_code_message(const OfflineDeposit *d, uint8_t ret[OFFLINE_DATA_MAX]);
/* The symbols: 30 bits of the hash, or six decimal digits of its first 64 bits. */
void offline_code_of(CodeAlphabet alphabet, const uint8_t mac[OFFLINE_MAC_SIZE], char ret[CODE_LENGTH + 1]);
