/* SPDX-License-Identifier: Apache-2.0 */
#include "message/jwe.h"
#include "base/text.h"
#include "message/jws.h"
#include "message/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>

#define COORDINATE 32
#define POINT      (1 + 2 * COORDINATE)
#define KEY_SIZE   32
#define IV_SIZE    12
#define TAG_SIZE   16
#define ENCODED(n) (((n)*4 + 2) / 3)
#define ALGORITHM  "A256GCM"

struct SealingKey {
        char id[KEY_ID_MAX + 1];
        EVP_PKEY *key;
};

DEFINE_CLEANUP(BIO *, BIO_free);
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free);
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free);
DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free);

SealingKey *sealing_key_free(SealingKey *k) {
        if (!k)
                return NULL;
        EVP_PKEY_free(k->key);
        free(k);
        return NULL;
}

/* --- the key --- */

static bool is_p256(const EVP_PKEY *key) {
        char group[32] = "";

        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
               (streq(group, "prime256v1") || streq(group, "P-256"));
}

static int no_pass_phrase(char *buffer, int size, int writing, void *userdata) {
        return -1;
}

static const char *read_key(const char *pem, size_t n, EVP_PKEY **ret) {
        _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(pem, (int)n);
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        if (memmem(pem, n, "PRIVATE KEY-----", 16))
                return "holds a private key: the cabinet needs the public one only";
        key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_pass_phrase, NULL) : NULL;
        ERR_clear_error();
        if (!key)
                return "holds no public key (PEM, \"BEGIN PUBLIC KEY\")";
        if (!is_p256(key))
                return "holds a key of another kind: only elliptic curve P-256 is taken";
        *ret = steal_ptr(key);
        return NULL;
}

static bool read_id(const char *path, char ret[KEY_ID_MAX + 1]) {
        const char *name = strrchr(path, '/');
        size_t n;

        name = name ? name + 1 : path;
        n = strlen(name);
        if (n <= 4 || n - 4 > KEY_ID_MAX || !streq(name + n - 4, ".pem"))
                return false;
        snprintf(ret, KEY_ID_MAX + 1, "%.*s", (int)(n - 4), name);
        return key_id_is_fine(ret);
}

int sealing_key_load(SealingKey **ret, const char *path, char ret_complaint[MESSAGE_DETAIL_MAX]) {
        _cleanup_(sealing_key_freep) SealingKey *k = calloc(1, sizeof(*k));
        _cleanup_free_ char *pem = NULL;
        const char *wrong = NULL;
        size_t n = 0;

        if (!k)
                return -ENOMEM;
        if (!read_id(path, k->id))
                wrong = "is not named like a key: letters, digits, '.', '_' and '-', and \".pem\"";
        if (!wrong) {
                pem = key_file_read(AT_FDCWD, path, &n, &wrong);
                if (!pem && !wrong)
                        return -ENOMEM;
        }
        if (!wrong)
                wrong = read_key(pem, n, &k->key);
        if (wrong) {
                snprintf(ret_complaint, MESSAGE_DETAIL_MAX, "%.100s %s", path, wrong);
                return -EINVAL;
        }
        *ret = steal_ptr(k);
        return 0;
}

/* --- sealing --- */

static void encode(const uint8_t *data, size_t n, char *ret) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        uint32_t bits = 0;
        unsigned n_bits = 0;

        for (size_t i = 0; i < n; i++) {
                bits = bits << 8 | data[i];
                for (n_bits += 8; n_bits >= 6; n_bits -= 6)
                        *ret++ = digits[bits >> (n_bits - 6) & 63];
        }
        if (n_bits)
                *ret++ = digits[bits << (6 - n_bits) & 63];
        *ret = 0;
}

static bool agree(EVP_PKEY *mine, EVP_PKEY *theirs, uint8_t ret[COORDINATE]) {
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(mine, NULL);
        size_t n = COORDINATE;

        return c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, theirs) == 1 &&
               EVP_PKEY_derive(c, ret, &n) == 1 && n == COORDINATE;
}

/* Concat KDF (RFC 7518, 4.6.2) for one round: counter, Z, algorithm, no party names, length in bits. */
static bool derive(const uint8_t z[COORDINATE], uint8_t ret[KEY_SIZE]) {
        static const uint8_t info[] = {0, 0, 0, 7, 'A', '2', '5', '6', 'G', 'C', 'M', 0,
                                       0, 0, 0, 0, 0,   0,   0,   0,   0,   1,   0};
        uint8_t input[4 + COORDINATE + sizeof(info)] = {0, 0, 0, 1};
        unsigned n = 0;

        memcpy(input + 4, z, COORDINATE);
        memcpy(input + 4 + COORDINATE, info, sizeof(info));
        bool good = EVP_Digest(input, sizeof(input), ret, &n, EVP_sha256(), NULL) == 1 && n == KEY_SIZE;
        explicit_bzero(input, sizeof(input));
        return good;
}

/* A key of this message only, and the header that tells its public half. Encoded, fresh. */
static char *make_header(const SealingKey *k, uint8_t ret_key[KEY_SIZE]) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *once = EVP_EC_gen("P-256");
        char x[ENCODED(COORDINATE) + 1], y[ENCODED(COORDINATE) + 1];
        uint8_t point[POINT], z[COORDINATE];
        size_t n = 0;
        bool good = once && agree(once, k->key, z) && derive(z, ret_key) &&
                    EVP_PKEY_get_octet_string_param(once, "encoded-pub-key", point, sizeof(point), &n) == 1 &&
                    n == POINT && point[0] == 4; /* uncompressed */

        explicit_bzero(z, sizeof(z));
        if (!good)
                return NULL;
        encode(point + 1, COORDINATE, x);
        encode(point + 1 + COORDINATE, COORDINATE, y);
        _cleanup_free_ char *header =
                text_printf("{\"alg\":\"ECDH-ES\",\"enc\":\"" ALGORITHM "\",\"kid\":\"%s\","
                            "\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}}",
                            k->id, x, y);
        char *encoded = header ? malloc(ENCODED(strlen(header)) + 1) : NULL;
        if (encoded)
                encode((const uint8_t *)header, strlen(header), encoded);
        return encoded;
}

static bool encrypt(const uint8_t key[KEY_SIZE], const uint8_t iv[IV_SIZE], const char *header,
                    const void *plain, size_t n, uint8_t *ret, uint8_t ret_tag[TAG_SIZE]) {
        _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
        int done = 0, rest = 0;

        return c && EVP_EncryptInit_ex2(c, EVP_aes_256_gcm(), key, iv, NULL) == 1 &&
               EVP_EncryptUpdate(c, NULL, &done, (const uint8_t *)header, (int)strlen(header)) == 1 &&
               EVP_EncryptUpdate(c, ret, &done, plain, (int)n) == 1 &&
               EVP_EncryptFinal_ex(c, ret + done, &rest) == 1 && (size_t)(done + rest) == n &&
               EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, ret_tag) == 1;
}

int jwe_seal(const SealingKey *k, const void *plain, size_t n, char **ret) {
        uint8_t key[KEY_SIZE], iv[IV_SIZE], tag[TAG_SIZE];
        char iv_text[ENCODED(IV_SIZE) + 1], tag_text[ENCODED(TAG_SIZE) + 1];
        _cleanup_free_ uint8_t *sealed = malloc(n + 1);
        _cleanup_free_ char *text = malloc(ENCODED(n) + 1), *header = make_header(k, key);
        bool good = sealed && text && header && RAND_bytes(iv, sizeof(iv)) == 1 &&
                    encrypt(key, iv, header, plain, n, sealed, tag);

        explicit_bzero(key, sizeof(key));
        ERR_clear_error();
        if (!good)
                return sealed && text ? -EIO : -ENOMEM;
        encode(iv, sizeof(iv), iv_text);
        encode(sealed, n, text);
        encode(tag, sizeof(tag), tag_text);
        /* The second part is empty: the key is agreed on, not sent. */
        *ret = text_printf("%s..%s.%s.%s", header, iv_text, text, tag_text);
        return *ret ? 0 : -ENOMEM;
}

int jwe_seal_object(const SealingKey *k, const char *object, const char *cabinet, const char *what,
                    const char *id, json_t **ret) {
        _cleanup_json_ json_t *o = json_loads(object, JSON_REJECT_DUPLICATES, NULL);
        _cleanup_erase_ char *plain = NULL;
        _cleanup_free_ char *jwe = NULL;

        if (!json_is_object(o))
                return -EUCLEAN;
        if (json_object_set_new(o, "cabinet", json_string(cabinet)) < 0 ||
            json_object_set_new(o, what, json_string(id)) < 0)
                return -ENOMEM;
        plain = json_dumps(o, JSON_COMPACT);
        int r = plain ? jwe_seal(k, plain, strlen(plain), &jwe) : -ENOMEM;
        if (r < 0)
                return r;
        *ret = json_pack("{s:s}", "jwe", jwe);
        return *ret ? 0 : -ENOMEM;
}
