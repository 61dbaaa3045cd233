/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mask.h"
#include "ledger/sql.h"

#include <errno.h>

#define PHONE_DIGITS_MAX 64

void sealed_done(Sealed *s) {
        free(s->data);
        *s = (Sealed){0};
}

int sealed_make(Sealed *ret, const Vault *v, const char *label, const uint8_t *salt, const char *text) {
        if (!text) {
                *ret = (Sealed){0};
                return 0;
        }
        size_t n = strlen(text);
        uint8_t *data = malloc(n + VAULT_SEAL_EXTRA);
        if (!data)
                return -ENOMEM;
        int r = vault_seal(v, label, salt, text, n, data);
        if (r < 0) {
                free(data);
                return r;
        }
        *ret = (Sealed){data, n + VAULT_SEAL_EXTRA};
        return 0;
}

int sealed_read(const Query *q, int i, const Vault *v, const char *label, const uint8_t *salt, char **ret) {
        const uint8_t *data = sqlite3_column_blob(q->stmt, i);
        size_t n = (size_t)sqlite3_column_bytes(q->stmt, i);

        if (!data) {
                *ret = NULL;
                return 0;
        }
        if (n < VAULT_SEAL_EXTRA)
                return -EUCLEAN;
        char *text = malloc(n - VAULT_SEAL_EXTRA + 1);
        if (!text)
                return -ENOMEM;
        int r = vault_open(v, label, salt, data, n, text);
        if (r < 0) {
                free(text);
                return r == -EBADMSG ? -EUCLEAN : r;
        }
        text[n - VAULT_SEAL_EXTRA] = 0;
        *ret = text;
        return 0;
}

/* The first byte distinguishes whole numbers from tails: a tail's hash never equals that of a
 * four-digit number. */
static void digits_mac(const Vault *v, char what, const char *digits, uint8_t ret[VAULT_MAC_SIZE]) {
        char text[1 + PHONE_DIGITS_MAX];
        size_t n = strlen(digits);

        text[0] = what;
        memcpy(text + 1, digits, n);
        vault_mac(v, VAULT_PHONE, text, 1 + n, ret);
        explicit_bzero(text, sizeof(text));
}

bool phone_mac(const Vault *v, const char *phone, uint8_t ret[VAULT_MAC_SIZE]) {
        char digits[PHONE_DIGITS_MAX] = "";

        if (phone)
                phone_digits(phone, digits, sizeof(digits));
        bool some = digits[0] != 0;
        if (some)
                digits_mac(v, 'p', digits, ret);
        explicit_bzero(digits, sizeof(digits));
        return some;
}

bool phone_tail_mac(const Vault *v, const char *phone, uint8_t ret[VAULT_MAC_SIZE]) {
        char digits[PHONE_DIGITS_MAX] = "";

        if (phone)
                phone_digits(phone, digits, sizeof(digits));
        size_t n = strlen(digits);
        if (n >= 4)
                digits_mac(v, 't', digits + n - 4, ret);
        explicit_bzero(digits, sizeof(digits));
        return n >= 4;
}
