/* SPDX-License-Identifier: Apache-2.0 */
/* Pickup codes in groups, for reading aloud. Typed codes may have the blanks or not. */
#pragma once

#include <stddef.h>
#include <string.h>

#define CODE_TEXT_MAX 64

/* "K7F2QX" → "K7F 2QX". A code of odd length is not changed. */
static inline const char *code_grouped(const char *code, char buffer[CODE_TEXT_MAX]) {
        size_t n = strlen(code), group = n % 3 == 0 ? 3 : n % 4 == 0 ? 4 : 0, k = 0;

        for (size_t i = 0; i < n && k < CODE_TEXT_MAX - 2; i++) {
                if (group && i && i % group == 0)
                        buffer[k++] = ' ';
                buffer[k++] = code[i];
        }
        buffer[k] = 0;
        return buffer;
}

/* Removes the blanks and dashes of the grouping. In place. */
static inline void code_ungroup(char *code) {
        char *to = code;

        for (const char *from = code; *from; from++)
                if (*from != ' ' && *from != '-')
                        *to++ = *from;
        *to = 0;
}
