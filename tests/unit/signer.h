/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend does: keys, and commands signed with them. For tests only. */
#pragma once

#include "base/text.h"
#include "message/jws.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

/* RFC 8037, appendix A.1: the private key and the public one. */
#define RFC8037_SECRET "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

typedef struct Signer {
        EVP_PKEY *key;
        char pem[256]; /* the public key */
} Signer;

static inline void signer_pem(EVP_PKEY *key, char *ret, size_t room) {
        BIO *bio = BIO_new(BIO_s_mem());

        if (!bio || PEM_write_bio_PUBKEY(bio, key) != 1)
                abort();
        int n = BIO_read(bio, ret, (int)room - 1);
        ret[n] = '\0';
        BIO_free(bio);
}

static inline Signer signer_new(const char *secret_hex) {
        uint8_t secret[32];
        Signer s = {0};

        if (text_from_hex(secret_hex, secret, sizeof(secret)) < 0)
                abort();
        s.key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
        if (!s.key)
                abort();
        signer_pem(s.key, s.pem, sizeof(s.pem));
        return s;
}

static inline void signer_done(Signer *s) {
        EVP_PKEY_free(s->key);
}

static inline char *signer_base64url(const void *bytes, size_t n) {
        char *text = malloc(n / 3 * 4 + 8);

        if (!text)
                abort();
        EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
        for (char *c = text; *c; c++)
                *c = *c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? '\0' : *c;
        return text;
}

static inline char *signer_sign_raw(const Signer *s, const char *input) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        uint8_t signature[64];
        size_t n = sizeof(signature);

        if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, s->key) != 1 ||
            EVP_DigestSign(context, signature, &n, (const uint8_t *)input, strlen(input)) != 1)
                abort();
        EVP_MD_CTX_free(context);
        return signer_base64url(signature, n);
}

/* header.payload.signature; fresh memory */
static inline char *signer_jws(const Signer *s, const char *header, const char *payload) {
        _cleanup_free_ char *first = signer_base64url(header, strlen(header));
        _cleanup_free_ char *second = signer_base64url(payload, strlen(payload));
        _cleanup_free_ char *input = text_printf("%s.%s", first, second);
        _cleanup_free_ char *third = signer_sign_raw(s, input);

        return text_printf("%s.%s", input, third);
}
