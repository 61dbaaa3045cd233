/* SPDX-License-Identifier: Apache-2.0 */
/* Text helpers: allocation that fails cleanly, strict parsing of numbers, UTF-8. */
#pragma once

#include "base/macros.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* A printf into new memory; NULL when out of memory. */
char *text_printf(const char *format, ...) _printf_(1, 2);
char *text_vprintf(const char *format, va_list ap) _printf_(1, 0);
/* Parses a whole unsigned number (decimal or 0x…) without sign, blanks or rest: 0, -EINVAL or -ERANGE. */
int text_to_u64(const char *s, uint64_t max, uint64_t *ret);
/* "500ms" "30s" "30min" "72h" "90d" or a bare number (= default_unit_usec) → µs; -EINVAL, -ERANGE. */
int text_to_usec(const char *s, uint64_t default_unit_usec, uint64_t *ret);
/* "yes/no true/false on/off 1/0" → bool; -EINVAL. */
int text_to_bool(const char *s, bool *ret);
bool text_is_digits(const char *s);
/* Bytes ↔ lower-case hex. to_hex needs 2*n+1 bytes of room; from_hex: -EINVAL unless exactly n bytes. */
void text_to_hex(const void *bytes, size_t n, char *ret);
int text_from_hex(const char *s, void *ret, size_t n);
/* Bytes of the well-formed UTF-8 character at s, of which n bytes may be read; 0 when there is none (n is 0,
 * broken, cut, overlong, a surrogate). */
size_t text_character(const char *s, size_t n);
/* Whether the well-formed character at s is a control character: C0 (a tab and NUL, too), DEL or C1. */
bool text_is_control(const char *s);
/* s is well-formed UTF-8. */
bool text_has_control(const char *s);
/* Overwrites memory in a way the compiler keeps, then frees it. Accepts NULL. */
void text_erase_free(char *s);
static inline void text_erase_freep(char **s) {
        text_erase_free(*s);
}
#define _cleanup_erase_ _cleanup_(text_erase_freep)
