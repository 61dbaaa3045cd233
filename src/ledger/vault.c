/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/vault.h"
#include "base/log.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <sys/random.h>

#define SEAL_VERSION 1
#define NONCE_SIZE   12
#define TAG_SIZE     16
#define SALT_SIZE    16
#define KEY_SIZE     32

/* Only the derived keys stay in memory; the master key is needed once. */
struct Vault {
        uint8_t keys[VAULT_PURPOSE_MAX][KEY_SIZE];
};

/* Part of the file format: changing a word here makes every existing ledger unreadable. */
static const char *const purpose_info[VAULT_PURPOSE_MAX] = {
        [VAULT_SEAL] = "lockerd/1/seal",       [VAULT_CODE] = "lockerd/1/code",
        [VAULT_PHONE] = "lockerd/1/phone",     [VAULT_PEPPER] = "lockerd/1/pepper",
        [VAULT_CHECK] = "lockerd/1/check",     [VAULT_ROW] = "lockerd/1/row",
        [VAULT_AUDIT] = "lockerd/1/audit",     [VAULT_TOLD] = "lockerd/1/told",
        [VAULT_OFFLINE] = "lockerd/1/offline",
};

static int hkdf(const uint8_t key[KEY_SIZE], const uint8_t *salt, size_t n_salt, const void *info,
                size_t n_info, uint8_t ret[KEY_SIZE]) {
        EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
        EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        OSSL_PARAM params[5], *p = params;
        int ok = 0;

        if (ctx) {
                *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0);
                *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, KEY_SIZE);
                *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, n_info);
                if (n_salt > 0)
                        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, n_salt);
                *p = OSSL_PARAM_construct_end();
                ok = EVP_KDF_derive(ctx, ret, KEY_SIZE, params) > 0;
        }
        EVP_KDF_CTX_free(ctx);
        EVP_KDF_free(kdf);
        return ok ? 0 : -EIO;
}

int vault_new(Vault **ret, const uint8_t key[VAULT_KEY_SIZE]) {
        Vault *v = calloc(1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        for (int i = 0; i < VAULT_PURPOSE_MAX; i++) {
                int r = hkdf(key, NULL, 0, purpose_info[i], strlen(purpose_info[i]), v->keys[i]);
                if (r < 0) {
                        vault_free(v);
                        return r;
                }
        }
        *ret = v;
        return 0;
}

Vault *vault_free(Vault *v) {
        if (!v)
                return NULL;
        explicit_bzero(v, sizeof(*v));
        free(v);
        return NULL;
}

const uint8_t *vault_key(const Vault *v, VaultPurpose p) {
        return v->keys[p];
}

void vault_mac_by(const uint8_t key[KEY_SIZE], const void *data, size_t n, uint8_t ret[VAULT_MAC_SIZE]) {
        unsigned int length = 0;

        /* A hash that could not be computed must never be compared: abort. */
        if (!HMAC(EVP_sha256(), key, KEY_SIZE, data, n, ret, &length) || length != VAULT_MAC_SIZE) {
                log_error("The crypto library cannot compute an HMAC.");
                abort();
        }
}

void vault_mac(const Vault *v, VaultPurpose p, const void *data, size_t n, uint8_t ret[VAULT_MAC_SIZE]) {
        vault_mac_by(v->keys[p], data, n, ret);
}

int vault_derive(const Vault *v, VaultPurpose p, const void *info, size_t n, uint8_t ret[KEY_SIZE]) {
        return hkdf(v->keys[p], NULL, 0, info, n, ret);
}

static const char person_info[] = "lockerd/1/person";

static int seal_key(const Vault *v, const uint8_t *salt, uint8_t ret[KEY_SIZE]) {
        if (!salt) {
                memcpy(ret, v->keys[VAULT_SEAL], KEY_SIZE);
                return 0;
        }
        return hkdf(v->keys[VAULT_SEAL], salt, SALT_SIZE, person_info, strlen(person_info), ret);
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const uint8_t key[KEY_SIZE], const char *label, const void *plain,
                    size_t n, uint8_t *ret) {
        uint8_t *nonce = ret + 1, *text = nonce + NONCE_SIZE, *tag = text + n;
        int length = 0;

        return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
               EVP_EncryptUpdate(ctx, NULL, &length, ret, 1) == 1 &&
               EVP_EncryptUpdate(ctx, NULL, &length, (const uint8_t *)label, (int)strlen(label)) == 1 &&
               (n == 0 || EVP_EncryptUpdate(ctx, text, &length, plain, (int)n) == 1) &&
               EVP_EncryptFinal_ex(ctx, text + n, &length) == 1 &&
               EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) == 1;
}

int vault_seal(const Vault *v, const char *label, const uint8_t *salt, const void *plain, size_t n,
               uint8_t *ret) {
        uint8_t key[KEY_SIZE];

        if (n > INT32_MAX - VAULT_SEAL_EXTRA)
                return -E2BIG;
        int r = seal_key(v, salt, key);
        if (r < 0)
                return r;
        ret[0] = SEAL_VERSION;
        r = vault_random(ret + 1, NONCE_SIZE);
        if (r >= 0) {
                EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
                r = ctx && encrypt(ctx, key, label, plain, n, ret) ? 0 : -EIO;
                EVP_CIPHER_CTX_free(ctx);
        }
        explicit_bzero(key, sizeof(key));
        return r;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const uint8_t key[KEY_SIZE], const char *label,
                    const uint8_t *sealed, size_t n_plain, uint8_t *ret) {
        const uint8_t *nonce = sealed + 1, *text = nonce + NONCE_SIZE, *tag = text + n_plain;
        uint8_t rest[TAG_SIZE];
        int length = 0;

        return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
               EVP_DecryptUpdate(ctx, NULL, &length, sealed, 1) == 1 &&
               EVP_DecryptUpdate(ctx, NULL, &length, (const uint8_t *)label, (int)strlen(label)) == 1 &&
               (n_plain == 0 || EVP_DecryptUpdate(ctx, ret, &length, text, (int)n_plain) == 1) &&
               EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, (void *)tag) == 1 &&
               EVP_DecryptFinal_ex(ctx, rest, &length) == 1;
}

int vault_open(const Vault *v, const char *label, const uint8_t *salt, const uint8_t *sealed, size_t n,
               void *ret) {
        uint8_t key[KEY_SIZE];

        if (n < VAULT_SEAL_EXTRA || n > INT32_MAX || sealed[0] != SEAL_VERSION)
                return -EBADMSG;
        int r = seal_key(v, salt, key);
        if (r < 0)
                return r;
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        if (!ctx)
                r = -ENOMEM;
        else if (!decrypt(ctx, key, label, sealed, n - VAULT_SEAL_EXTRA, ret)) {
                /* GCM writes before it has verified the tag; erase what is not authentic. */
                if (n > VAULT_SEAL_EXTRA)
                        explicit_bzero(ret, n - VAULT_SEAL_EXTRA);
                r = -EBADMSG;
        }
        EVP_CIPHER_CTX_free(ctx);
        explicit_bzero(key, sizeof(key));
        return r;
}

int vault_random(void *ret, size_t n) {
        uint8_t *p = ret;

        while (n > 0) {
                ssize_t got = getrandom(p, n, 0);
                if (got < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += got;
                n -= (size_t)got;
        }
        return 0;
}
