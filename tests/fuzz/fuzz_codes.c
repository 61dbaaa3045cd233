/* SPDX-License-Identifier: Apache-2.0 */
/* What people type and what strangers are called: pickup codes, names and phone numbers. Besides not
 * crashing: a code that is accepted is read back as itself, and a mask is valid UTF-8, no longer than its
 * original and hides what it promises. */
#include "core/code.h"
#include "core/mask.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good, const char *what) {
        if (good)
                return;
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
}

static void check_code(CodeAlphabet alphabet, const char *typed) {
        char code[CODE_LENGTH + 1] = "", again[CODE_LENGTH + 1] = "";

        if (code_normalise(alphabet, typed, code) < 0) {
                expect(code[0] == 0, "a refused code leaves the output alone");
                return;
        }
        expect(strlen(code) == CODE_LENGTH, "a code has six symbols");
        expect(code_normalise(alphabet, code, again) == 0 && streq(code, again),
               "a code is read back as itself");
        expect(alphabet == CODE_CROCKFORD || strspn(code, "0123456789") == CODE_LENGTH, "digits are digits");
}

/* Strict enough for this: every lead byte has its continuation bytes and none stands alone. */
static bool is_utf8(const char *s) {
        const unsigned char *b = (const unsigned char *)s;

        while (*b) {
                int more = *b < 0x80 ? 0 : *b >= 0xc2 && *b < 0xe0 ? 1 : *b >= 0xe0 && *b < 0xf0 ? 2 : 3;
                if (*b > 0xf4 || (*b >= 0x80 && *b < 0xc2))
                        return false;
                for (b++; more > 0; more--, b++)
                        if ((*b & 0xc0) != 0x80)
                                return false;
        }
        return true;
}

static size_t count_digits(const char *s) {
        size_t n = 0;

        for (; *s; s++)
                n += *s >= '0' && *s <= '9';
        return n;
}

static bool begins_with_00(const char *text) {
        const char *first = strpbrk(text, "0123456789"),
                   *second = first ? strpbrk(first + 1, "0123456789") : NULL;

        return second && *first == '0' && *second == '0';
}

static void check_masks(const char *text) {
        _cleanup_free_ char *name = mask_name(text), *phone = mask_phone(text);
        char digits[32];

        if (!name || !phone)
                return;
        expect(is_utf8(name) && is_utf8(phone), "a mask is valid UTF-8");
        expect(strlen(name) <= strlen(text) && strlen(phone) <= strlen(text), "a mask is not longer");
        expect(!*text || strchr(name, '*'), "at least one character of a name is masked");
        size_t n = count_digits(text);
        expect(count_digits(phone) == (n > 6 ? n - 6 : 0), "six digits of a phone number are masked");

        for (size_t room = 1; room <= sizeof(digits); room += 7) {
                phone_digits(text, digits, room);
                size_t had = MIN(n, room - 1);
                bool international = had >= 10 && begins_with_00(text);
                expect(strlen(digits) == had - (international ? 2 : 0),
                       "the digits, as many as there is room for");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = malloc(size + 1);

        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = 0;
        check_code(CODE_CROCKFORD, text);
        check_code(CODE_DIGITS, text);
        check_masks(text);
        return 0;
}
