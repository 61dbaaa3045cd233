/* SPDX-License-Identifier: Apache-2.0 */
#include "core/code.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define ALL_ONES UINT64_MAX

/* Requirement: D3 */
static void test_code_from_random_makes_six_symbols_of_the_alphabet(void **state) {
        static const struct {
                CodeAlphabet alphabet;
                uint64_t random;
                const char *code;
        } rows[] = {
                {CODE_DIGITS, 0, "000000"},
                {CODE_DIGITS, 7, "000007"},
                {CODE_DIGITS, 999999, "999999"},
                {CODE_DIGITS, 1000000, "000000"},
                {CODE_DIGITS, 123456, "123456"},
                {CODE_DIGITS, ALL_ONES, "551615"},
                {CODE_CROCKFORD, 0, "000000"},
                {CODE_CROCKFORD, 31, "Z00000"},
                {CODE_CROCKFORD, 1 | 10 << 5, "1A0000"},
                {CODE_CROCKFORD, ALL_ONES, "ZZZZZZ"},
                {CODE_CROCKFORD, UINT64_C(1) << 30, "000000"}, /* 30 bits make a code */
        };
        char code[CODE_LENGTH + 1];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                code_from_random(rows[i].alphabet, rows[i].random, code);
                assert_string_equal(code, rows[i].code);
        }
}

/* Requirement: D3 */
static void test_code_from_random_is_read_back_as_itself(void **state) {
        uint64_t random = 88172645463325252;

        for (int i = 0; i < 20000; i++) {
                CodeAlphabet alphabet = i & 1 ? CODE_DIGITS : CODE_CROCKFORD;
                char code[CODE_LENGTH + 1], read[CODE_LENGTH + 1];

                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                code_from_random(alphabet, random, code);
                assert_int_equal(strlen(code), CODE_LENGTH);
                assert_null(strpbrk(code, "ILOU"));
                assert_int_equal(code_normalise(alphabet, code, read), 0);
                assert_string_equal(read, code);
        }
}

static void test_code_from_random_uses_every_symbol_evenly(void **state) {
        unsigned seen[256] = {0};
        char code[CODE_LENGTH + 1];

        for (uint64_t r = 0; r < 1 << 15; r++) {
                code_from_random(CODE_CROCKFORD, r, code);
                for (int k = 0; k < 3; k++)
                        seen[(unsigned char)code[k]]++;
        }
        for (const char *p = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; *p; p++)
                assert_int_equal(seen[(unsigned char)*p], 3 << 10);
}

/* Requirement: D3 */
static void test_code_typed_forgivingly_is_what_was_meant(void **state) {
        static const struct {
                CodeAlphabet alphabet;
                const char *typed, *code;
        } rows[] = {
                {CODE_CROCKFORD, "A1B2C3", "A1B2C3"},      {CODE_CROCKFORD, "a1b2c3", "A1B2C3"},
                {CODE_CROCKFORD, "OoIiLl", "001111"},      {CODE_CROCKFORD, " abc-def ", "ABCDEF"},
                {CODE_CROCKFORD, "A B C D E F", "ABCDEF"}, {CODE_CROCKFORD, "--zz--zz\tzz", "ZZZZZZ"},
                {CODE_CROCKFORD, "123456", "123456"},      {CODE_DIGITS, "123456", "123456"},
                {CODE_DIGITS, "123-456", "123456"},        {CODE_DIGITS, " 12 34 56 ", "123456"},
                {CODE_DIGITS, "000000", "000000"},
        };
        char code[CODE_LENGTH + 1];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(code_normalise(rows[i].alphabet, rows[i].typed, code), 0);
                assert_string_equal(code, rows[i].code);
        }
}

static void test_code_malformed_is_refused_and_output_untouched(void **state) {
        static const struct {
                CodeAlphabet alphabet;
                const char *typed;
        } rows[] = {
                {CODE_CROCKFORD, ""},         {CODE_CROCKFORD, "      "},
                {CODE_CROCKFORD, "A1B2C"},    {CODE_CROCKFORD, "A1B2C3D"},
                {CODE_CROCKFORD, "U12345"},   {CODE_CROCKFORD, "12345u"},
                {CODE_CROCKFORD, "12345!"},   {CODE_CROCKFORD, "12345\n"},
                {CODE_CROCKFORD, "1234５6"},  {CODE_CROCKFORD, "\xff\xff\xff\xff\xff\xff"},
                {CODE_CROCKFORD, "123456 7"}, {CODE_DIGITS, "12345"},
                {CODE_DIGITS, "1234567"},     {CODE_DIGITS, "12345O"},
                {CODE_DIGITS, "I23456"},      {CODE_DIGITS, "12345A"},
                {CODE_DIGITS, "-"},           {CODE_DIGITS, "+12345"},
                {CODE_DIGITS, "123.45"},      {CODE_DIGITS, NULL},
        };
        char code[CODE_LENGTH + 1] = "before";

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(code_normalise(rows[i].alphabet, rows[i].typed, code), -EINVAL);
                assert_string_equal(code, "before");
        }
}

static void test_code_every_single_byte_is_kept_mapped_or_refused(void **state) {
        static const char kept[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

        for (int c = 1; c < 256; c++) {
                char typed[] = "00000?", code[CODE_LENGTH + 1];
                int upper = c >= 'a' && c <= 'z' ? c - 32 : c;
                int meant = upper == 'O' ? '0' : upper == 'I' || upper == 'L' ? '1' : upper;

                typed[5] = (char)c;
                bool good = strchr(kept, meant) != NULL;
                assert_int_equal(code_normalise(CODE_CROCKFORD, typed, code), good ? 0 : -EINVAL);
                if (good)
                        assert_int_equal(code[5], meant);
                assert_int_equal(code_normalise(CODE_DIGITS, typed, code),
                                 c >= '0' && c <= '9' ? 0 : -EINVAL);
        }
}

static void test_code_digits_need_a_claim(void **state) {
        assert_true(code_needs_claim(CODE_DIGITS));
        assert_false(code_needs_claim(CODE_CROCKFORD));
        assert_string_equal(code_alphabet_to_string(CODE_DIGITS), "digits");
        assert_string_equal(code_alphabet_to_string(CODE_CROCKFORD), "crockford");
}

/* Requirement: D4 */
static void test_code_neighbours_are_each_one_step_away(void **state) {
        static const struct {
                CodeAlphabet alphabet;
                size_t n;
        } rows[] = {{CODE_DIGITS, 1 + 6 * 9 + 5}, {CODE_CROCKFORD, 1 + 6 * 31 + 5}};
        char near[CODE_NEIGHBOURS_MAX][CODE_LENGTH + 1], again[CODE_LENGTH + 1];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                size_t n = code_neighbours(rows[i].alphabet, "012345", near);
                assert_int_equal(n, rows[i].n);
                assert_string_equal(near[0], "012345");
                for (size_t k = 0; k < n; k++) {
                        assert_int_equal(code_normalise(rows[i].alphabet, near[k], again), 0);
                        unsigned other = 0;
                        for (int at = 0; at < CODE_LENGTH; at++)
                                other += near[k][at] != "012345"[at];
                        assert_in_range(other, k ? 1 : 0, 2);
                        for (size_t m = 0; m < k; m++)
                                assert_string_not_equal(near[k], near[m]);
                }
        }
        /* Exchanging the same symbol is no other code. */
        assert_int_equal(code_neighbours(CODE_DIGITS, "000000", near), 1 + 6 * 9);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_code_from_random_makes_six_symbols_of_the_alphabet),
                cmocka_unit_test(test_code_from_random_is_read_back_as_itself),
                cmocka_unit_test(test_code_from_random_uses_every_symbol_evenly),
                cmocka_unit_test(test_code_typed_forgivingly_is_what_was_meant),
                cmocka_unit_test(test_code_malformed_is_refused_and_output_untouched),
                cmocka_unit_test(test_code_every_single_byte_is_kept_mapped_or_refused),
                cmocka_unit_test(test_code_digits_need_a_claim),
                cmocka_unit_test(test_code_neighbours_are_each_one_step_away),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
