/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* UTF-8 as RFC 3629 defines it, written down the other way round: by encoding. */
static size_t encode(uint32_t code, char ret[static 5]) {
        size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

        if (n == 1)
                ret[0] = (char)code;
        for (size_t i = n; n > 1 && i-- > 0; code >>= 6)
                ret[i] = (char)(i ? 0x80 | (code & 0x3f) : (0xff00 >> n & 0xff) | code);
        ret[n] = 0;
        return n;
}

static void test_character_of_every_code_point_has_its_length(void **state) {
        for (uint32_t code = 0; code <= 0x10ffff; code++) {
                char s[5];
                size_t n = encode(code, s);
                bool surrogate = code >= 0xd800 && code <= 0xdfff;

                if (text_character(s, sizeof(s)) != (surrogate ? 0 : n))
                        fail_msg("U+%04X: length %zu", code, text_character(s, sizeof(s)));
                for (size_t cut = 0; cut < n; cut++)
                        if (text_character(s, cut) != 0)
                                fail_msg("U+%04X cut to %zu bytes is a character", code, cut);
        }
}

static void test_character_that_is_not_well_formed_has_no_length(void **state) {
        static const char *const rows[] = {
                "\x80", /* continues nothing */
                "\xff",
                "\xc0\xaf",         /* overlong: '/' in two bytes, */
                "\xe0\x80\xaf",     /* in three, */
                "\xf0\x80\x80\xaf", /* in four */
                "\xc1\xbf",
                "\xe5\xbc"
                "b", /* interrupted */
                "\xf0\x9f\x98"
                "b",
                "\xf4\x90\x80\x80", /* above U+10FFFF */
                "\xf5\x80\x80\x80",
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (text_character(rows[i], strlen(rows[i]) + 1) != 0)
                        fail_msg("row %zu", i);
}

static void test_control_characters_are_c0_del_and_c1(void **state) {
        for (uint32_t code = 0; code <= 0x10ffff; code++) {
                bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
                char s[5];

                (void)encode(code, s);
                if (code >= 0xd800 && code <= 0xdfff)
                        continue;
                if (text_is_control(s) != control)
                        fail_msg("U+%04X", code);
                if (code && text_has_control(s) != control)
                        fail_msg("U+%04X in a text", code);
        }
        assert_true(text_has_control("Zoë\x1b[2J"));
        assert_true(text_has_control("Zoë\xc2\x85"));
        assert_false(text_has_control("Łukasz Żak"));
        assert_false(text_has_control(""));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_character_of_every_code_point_has_its_length),
                cmocka_unit_test(test_character_that_is_not_well_formed_has_no_length),
                cmocka_unit_test(test_control_characters_are_c0_del_and_c1),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
