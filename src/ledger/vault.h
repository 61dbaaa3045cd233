/* SPDX-License-Identifier: Apache-2.0 */
/* The cabinet's secret key and everything made from it: sealing (AES-256-GCM), keyed hashes (HMAC-SHA256),
 * the pepper. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stdint.h>

#define VAULT_KEY_SIZE   32
#define VAULT_MAC_SIZE   32
#define VAULT_SEAL_EXTRA 29 /* version, nonce, tag */

typedef struct Vault Vault;

/* The purpose of a derived key; each purpose has its own. */
typedef enum VaultPurpose {
        VAULT_SEAL,
        VAULT_CODE,
        VAULT_PHONE,
        VAULT_PEPPER,
        VAULT_CHECK,
        VAULT_ROW,
        VAULT_AUDIT,
        VAULT_TOLD,    /* what the cabinet says of itself at the broker */
        VAULT_OFFLINE, /* the keys of deposits, docs/link.md */
        VAULT_PURPOSE_MAX
} VaultPurpose;

int vault_new(Vault **ret, const uint8_t key[VAULT_KEY_SIZE]);
/* Reads the key: the systemd credential "lockerd.key" when there is one, else the file; 32 raw bytes or
 * 64 hex digits. When neither exists and `create`, makes the file (mode 0400). -ENOKEY: none there;
 * -EINVAL: not a key; -EPERM: others than its owner can read it. A new file is complete and synced
 * before it gets its name; an existing key is never overwritten. */
int vault_load(Vault **ret, const char *path, bool create);
Vault *vault_free(Vault *v);
DEFINE_CLEANUP(Vault *, vault_free);

const uint8_t *vault_key(const Vault *v, VaultPurpose p); /* 32 bytes */
void vault_mac(const Vault *v, VaultPurpose p, const void *data, size_t n, uint8_t ret[VAULT_MAC_SIZE]);
/* label: bound in as associated data, so that a sealed value cannot be moved to another column. salt: NULL,
 * or 16 bytes of a person's own (erase it and the value is gone). ret: n + VAULT_SEAL_EXTRA bytes. */
int vault_seal(const Vault *v, const char *label, const uint8_t *salt, const void *plain, size_t n,
               uint8_t *ret);
/* ret: n - VAULT_SEAL_EXTRA bytes. -EBADMSG: not sealed by this key, or changed. */
int vault_open(const Vault *v, const char *label, const uint8_t *salt, const uint8_t *sealed, size_t n,
               void *ret);
/* HKDF-SHA256 with the purpose's key, without salt; ret: VAULT_KEY_SIZE bytes. */
int vault_derive(const Vault *v, VaultPurpose p, const void *info, size_t n, uint8_t ret[VAULT_KEY_SIZE]);
/* HMAC-SHA256 with a derived key. */
void vault_mac_by(const uint8_t key[VAULT_KEY_SIZE], const void *data, size_t n, uint8_t ret[VAULT_MAC_SIZE]);
int vault_random(void *ret, size_t n);
