/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/hash.h"
#include "base/macros.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <sys/random.h>

#define SALT_SIZE    16
#define KEY_SIZE     32
#define BLOB_VERSION 1
#define BLOCK_SIZE   8 /* scrypt's r */
#define PARALLEL     1 /* scrypt's p */

/* The verification data, byte by byte: nothing in it depends on the machine. */
typedef struct Blob {
        uint8_t version, log_n, r, p;
        uint8_t salt[SALT_SIZE];
        uint8_t key[KEY_SIZE];
} Blob;

_Static_assert(sizeof(Blob) == 52 && sizeof(Blob) <= HASH_DATA_MAX, "the blob is a format on disk");

static bool parameters_are_sane(const Blob *b) {
        return b->version == BLOB_VERSION && b->log_n >= HASH_LOG_N_MIN && b->log_n <= HASH_LOG_N_MAX &&
               b->r == BLOCK_SIZE && b->p == PARALLEL;
}

static int new_blob(unsigned log_n, Blob *ret) {
        Blob b = {.version = BLOB_VERSION, .log_n = (uint8_t)log_n, .r = BLOCK_SIZE, .p = PARALLEL};

        if (log_n < HASH_LOG_N_MIN || log_n > HASH_LOG_N_MAX)
                return -EINVAL;
        if (getrandom(b.salt, sizeof(b.salt), 0) != sizeof(b.salt))
                return -EIO;
        *ret = b;
        return 0;
}

/* What the secret gives with the blob's salt and parameters. */
static int derive(const HashQuestion *q, const Blob *b, uint8_t ret[KEY_SIZE]) {
        uint8_t peppered[KEY_SIZE];
        unsigned n = 0;
        uint64_t cost = UINT64_C(1) << b->log_n;
        /* OpenSSL's own limit is 32 MiB, which is just what 2^15 does not fit into. */
        uint64_t memory = 128 * (uint64_t)b->r * (cost + b->p + 2) + (1 << 20);
        int r = -EIO;

        if (HMAC(EVP_sha256(), q->pepper, sizeof(q->pepper), (const uint8_t *)q->secret, q->n_secret,
                 peppered, &n) &&
            n == sizeof(peppered) &&
            EVP_PBE_scrypt((const char *)peppered, sizeof(peppered), b->salt, sizeof(b->salt), cost, b->r,
                           b->p, memory, ret, KEY_SIZE) == 1)
                r = 0;
        explicit_bzero(peppered, sizeof(peppered));
        return r;
}

static HashResult enrol(const HashQuestion *q, HashAnswer *a) {
        Blob b;

        if (new_blob(q->log_n, &b) < 0 || derive(q, &b, b.key) < 0)
                return HASH_FAILED;
        memcpy(a->data, &b, sizeof(b));
        a->n_data = sizeof(b);
        return HASH_ENROLLED;
}

static HashResult verify(const HashQuestion *q) {
        uint8_t key[KEY_SIZE];
        Blob b;

        if (q->n_data != sizeof(b))
                return HASH_FAILED;
        memcpy(&b, q->data, sizeof(b));
        if (!parameters_are_sane(&b) || derive(q, &b, key) < 0)
                return HASH_FAILED;
        bool match = CRYPTO_memcmp(key, b.key, sizeof(key)) == 0;
        explicit_bzero(key, sizeof(key));
        return match ? HASH_MATCH : HASH_NO_MATCH;
}

static HashResult verify_nothing(const HashQuestion *q) {
        uint8_t key[KEY_SIZE];
        Blob b;

        if (new_blob(q->log_n, &b) < 0 || derive(q, &b, key) < 0)
                return HASH_FAILED;
        explicit_bzero(key, sizeof(key));
        return HASH_NO_MATCH;
}

void hash_answer(const HashQuestion *q, HashAnswer *ret) {
        HashAnswer a = {.version = HASH_WIRE_VERSION, .result = HASH_FAILED, .id = q->id};

        if (q->version == HASH_WIRE_VERSION && q->n_secret <= sizeof(q->secret) &&
            q->n_data <= sizeof(q->data)) {
                switch (q->verb) {
                case HASH_ENROL:
                        a.result = enrol(q, &a);
                        break;
                case HASH_VERIFY:
                        a.result = verify(q);
                        break;
                case HASH_VERIFY_NOTHING:
                        a.result = verify_nothing(q);
                        break;
                }
        }
        *ret = a;
}
