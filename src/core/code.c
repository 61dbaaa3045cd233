/* SPDX-License-Identifier: Apache-2.0 */
#include "core/code.h"

#include <errno.h>

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void code_from_random(CodeAlphabet alphabet, uint64_t random, char ret[CODE_LENGTH + 1]) {
        switch (alphabet) {
        case CODE_CROCKFORD:
                for (int i = 0; i < CODE_LENGTH; i++, random >>= 5)
                        ret[i] = crockford[random & 31];
                break;
        case CODE_DIGITS:
                random %= 1000000;
                for (int i = CODE_LENGTH - 1; i >= 0; i--, random /= 10)
                        ret[i] = (char)('0' + random % 10);
                break;
        }
        ret[CODE_LENGTH] = 0;
}

/* The intended symbol, or 0. Not isalpha(), which depends on the locale. */
static char symbol_meant(CodeAlphabet alphabet, char c) {
        if (c >= '0' && c <= '9')
                return c;
        if (alphabet == CODE_DIGITS)
                return 0;
        if (c >= 'a' && c <= 'z')
                c = (char)(c - 'a' + 'A');
        if (c == 'O')
                return '0';
        if (c == 'I' || c == 'L')
                return '1';
        return c && strchr(crockford, c) ? c : 0;
}

int code_normalise(CodeAlphabet alphabet, const char *typed, char ret[CODE_LENGTH + 1]) {
        char code[CODE_LENGTH + 1];
        int n = 0, r = 0;

        if (!typed)
                return -EINVAL;
        for (const char *p = typed; *p && r == 0; p++) {
                if (*p == ' ' || *p == '\t' || *p == '-')
                        continue;
                char c = symbol_meant(alphabet, *p);
                if (!c || n == CODE_LENGTH)
                        r = -EINVAL;
                else
                        code[n++] = c;
        }
        if (n != CODE_LENGTH)
                r = -EINVAL;
        if (r == 0) {
                code[CODE_LENGTH] = 0;
                memcpy(ret, code, sizeof(code));
        }
        explicit_bzero(code, sizeof(code));
        return r;
}

bool code_needs_claim(CodeAlphabet alphabet) {
        return alphabet == CODE_DIGITS;
}

const char *code_alphabet_to_string(CodeAlphabet a) {
        switch (a) {
        case CODE_CROCKFORD:
                return "crockford";
        case CODE_DIGITS:
                return "digits";
        }
        return "invalid";
}

uint64_t code_space(CodeAlphabet alphabet) {
        return alphabet == CODE_DIGITS ? 1000000 : UINT64_C(1) << (5 * CODE_LENGTH);
}

size_t code_neighbours(CodeAlphabet alphabet, const char *code,
                       char ret[CODE_NEIGHBOURS_MAX][CODE_LENGTH + 1]) {
        size_t symbols = alphabet == CODE_DIGITS ? 10 : sizeof(crockford) - 1, n = 0;

        memcpy(ret[n++], code, CODE_LENGTH + 1);
        for (int i = 0; i < CODE_LENGTH; i++) {
                for (size_t k = 0; k < symbols; k++)
                        if (crockford[k] != code[i]) {
                                memcpy(ret[n], code, CODE_LENGTH + 1);
                                ret[n++][i] = crockford[k];
                        }
                if (i + 1 < CODE_LENGTH && code[i] != code[i + 1]) {
                        memcpy(ret[n], code, CODE_LENGTH + 1);
                        ret[n][i] = code[i + 1];
                        ret[n++][i + 1] = code[i];
                }
        }
        return n;
}
