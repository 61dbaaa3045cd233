/* SPDX-License-Identifier: Apache-2.0 */
#include "message/jws.h"
#include "core/refusal.h"

#include <errno.h>
#include <stdio.h>

#define SIGNATURE_SIZE 64
#define HEADER_MAX     1024 /* encoded characters; ours have four short members */

static int value_of(char c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Without padding, and in the one way in which an encoder writes it: the bits left over must be zero, or the
 * same message would have several spellings. Fresh memory with a NUL behind it; -EINVAL, -ENOMEM. */
static int decode(const char *text, size_t n, char **ret, size_t *ret_n) {
        uint32_t bits = 0;
        unsigned n_bits = 0;
        size_t at = 0;

        if (n % 4 == 1)
                return -EINVAL;
        char *bytes = malloc(n / 4 * 3 + 4);
        if (!bytes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int value = value_of(text[i]);
                if (value < 0) {
                        free(bytes);
                        return -EINVAL;
                }
                bits = bits << 6 | (uint32_t)value;
                n_bits += 6;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        bytes[at++] = (char)(bits >> n_bits & 0xff);
                }
        }
        if (bits & ((1U << n_bits) - 1)) {
                free(bytes);
                return -EINVAL;
        }
        bytes[at] = '\0';
        *ret = bytes;
        *ret_n = at;
        return 0;
}

typedef struct Part {
        const char *text;
        size_t n;
} Part;

/* Exactly two dots. */
static bool split(const char *text, size_t n, Part parts[3]) {
        const char *end = text + n;
        unsigned at = 0;

        parts[0] = (Part){text, 0};
        for (const char *c = text; c < end; c++) {
                if (*c != '.')
                        continue;
                parts[at].n = (size_t)(c - parts[at].text);
                if (++at > 2)
                        return false;
                parts[at].text = c + 1;
        }
        parts[at].n = (size_t)(end - parts[at].text);
        return at == 2;
}

bool jws_is_compact(const void *text, size_t n) {
        const char *c = text;
        unsigned dots = 0;

        for (size_t i = 0; i < n; i++) {
                if (c[i] == '.')
                        dots++;
                else if (value_of(c[i]) < 0)
                        return false;
        }
        return dots == 2;
}

void jws_done(Jws *jws) {
        if (jws->payload)
                explicit_bzero(jws->payload, jws->n_payload);
        free(jws->payload);
        *jws = (Jws){0};
}

static int bad(char ret_detail[MESSAGE_DETAIL_MAX], const char *sentence) {
        snprintf(ret_detail, MESSAGE_DETAIL_MAX, "%s", sentence);
        return LOCKER_E_BAD_SIGNATURE;
}

/* Nothing in the header chooses anything but the key. In particular not the algorithm: it is checked, not
 * obeyed. */
static int read_header(const Part *part, char ret_key[KEY_ID_MAX + 1], char ret_detail[MESSAGE_DETAIL_MAX]) {
        _cleanup_json_ json_t *header = NULL;
        _cleanup_free_ char *bytes = NULL;
        const char *key;
        json_t *value;
        size_t n;

        int r = part->n > HEADER_MAX ? -EINVAL : decode(part->text, part->n, &bytes, &n);
        if (r == -EINVAL)
                return bad(ret_detail, "The header of the JWS is too long or not base64url without padding.");
        if (r == 0)
                r = strict_json_object("The header of the JWS", bytes, n, &header, ret_detail);
        if (r)
                return r < 0 ? r : LOCKER_E_BAD_SIGNATURE;
        json_object_foreach(header, key, value) {
                if (!streq(key, "alg") && !streq(key, "kid") && !streq(key, "typ") && !streq(key, "cty"))
                        return bad(
                                ret_detail,
                                "The header of the JWS may have \"alg\", \"kid\", \"typ\" and \"cty\" only.");
                if (!json_is_string(value))
                        return bad(ret_detail, "The members of the header of the JWS must be strings.");
        }
        const json_t *alg = json_object_get(header, "alg"), *kid = json_object_get(header, "kid");
        if (!alg || !streq(json_string_value(alg), "EdDSA"))
                return bad(ret_detail, "The JWS must be signed with \"alg\": \"EdDSA\" (Ed25519).");
        if (!kid || !json_string_length(kid) || json_string_length(kid) > KEY_ID_MAX)
                return bad(ret_detail, "The header of the JWS must name the key: \"kid\".");
        snprintf(ret_key, KEY_ID_MAX + 1, "%s", json_string_value(kid));
        return 0;
}

int jws_verify(const KeyRing *ring, const void *text, size_t n, Jws *ret,
               char ret_detail[MESSAGE_DETAIL_MAX]) {
        _cleanup_free_ char *signature = NULL;
        char key[KEY_ID_MAX + 1];
        size_t n_signature;
        Part parts[3];

        *ret = (Jws){0};
        if (!split(text, n, parts))
                return bad(ret_detail, "A JWS has three parts: header, payload, signature.");
        int r = decode(parts[1].text, parts[1].n, &ret->payload, &ret->n_payload);
        if (r == -EINVAL)
                return bad(ret_detail, "The payload of the JWS is not base64url without padding.");
        if (r == 0)
                r = read_header(&parts[0], key, ret_detail);
        if (r)
                return r;
        r = decode(parts[2].text, parts[2].n, &signature, &n_signature);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || n_signature != SIGNATURE_SIZE)
                return bad(ret_detail,
                           "The signature of the JWS must be 64 bytes in base64url without padding.");
        /* Over the bytes as they came, not over what was understood of them. */
        r = key_ring_verify(ring, key, text, parts[0].n + 1 + parts[1].n, (const uint8_t *)signature);
        if (r > 0)
                return bad(ret_detail, "The signature is not right, or the cabinet does not have the key "
                                       "that \"kid\" names.");
        if (r == 0)
                snprintf(ret->key, sizeof(ret->key), "%s", key);
        return r;
}
