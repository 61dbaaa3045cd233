/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

typedef struct MaskRow {
        const char *plain, *masked;
} MaskRow;

/* Requirement: F9 */
static void test_mask_name_shows_at_most_first_and_last(void **state) {
        static const MaskRow rows[] = {
                {"", ""},
                {"A", "*"},
                {"张", "*"},
                {"Li", "L*"},
                {"张三", "张*"},
                {"Eve", "E*e"},
                {"欧阳娜", "欧*娜"},
                {"Zoë", "Z*ë"},
                {"Łukasz Żak", "Ł********k"},
                {"😀ab😀", "😀**😀"},
                {"Ada Lovelace", "A**********e"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *masked = mask_name(rows[i].plain);
                assert_string_equal(masked, rows[i].masked);
        }
}

/* Requirement: F9 */
static void test_mask_name_broken_or_control_bytes_are_masked(void **state) {
        static const MaskRow rows[] = {
                {"\xff", "*"},
                {"\xff\xfe\xfd", "***"},
                {"\xe5\xbc", "**"},   /* cut */
                {"A\xe5\xbc", "A**"}, /* cut at the end */
                {"\xc0\xaf"
                 "bc",
                 "***c"}, /* overlong */
                {"\xe0\x80\xaf"
                 "b",
                 "***b"}, /* overlong */
                {"\xed\xa0\x80"
                 "b",
                 "***b"}, /* surrogate */
                {"\xf4\x90\x80\x80"
                 "b",
                 "****b"}, /* beyond U+10FFFF */
                {"\xf5"
                 "ab",
                 "**b"},
                {"\x1b[2Jx", "****x"},
                {"\nabc", "***c"},
                {"ab\n", "a**"},
                {"\xc2\x9b"
                 "ab",
                 "**b"}, /* a control character of two bytes */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *masked = mask_name(rows[i].plain);
                assert_string_equal(masked, rows[i].masked);
        }
}

/* Requirement: F9 */
static void test_mask_phone_hides_six_digits(void **state) {
        static const MaskRow rows[] = {
                {"", ""},
                {"1", "*"},
                {"123456", "******"},
                {"1234567", "******7"},
                {"12345678", "******78"},
                {"1234567890", "******7890"},
                {"13812345678", "1******5678"},
                {"+86 138-1234-5678", "+86 1**-****-5678"},
                {"+4917612345678", "+491******5678"},
                {"(030) 1234.567/89", "(03*) ****.*67/89"},
                {"138 1234 5678 Li", "1** **** 5678 **"},
                {"13812345678\n", "1******5678*"},
                {"张 1234567", "* ******7"},
                {"１２３", "***"}, /* full-width digits are not taken for separators */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *masked = mask_phone(rows[i].plain);
                assert_string_equal(masked, rows[i].masked);
        }
}

static void test_mask_phone_digits_are_compared_without_decoration(void **state) {
        char out[8];

        phone_digits("+86 138-1234", out, sizeof(out));
        assert_string_equal(out, "8613812");
        char whole[20];
        phone_digits("0086 138-1234 56", whole, sizeof(whole));
        assert_string_equal(whole, "86138123456");
        phone_digits("0012", whole, sizeof(whole)); /* the last digits of some number */
        assert_string_equal(whole, "0012");
        phone_digits("0151", out, sizeof(out));
        assert_string_equal(out, "0151");
        phone_digits("12-34", out, sizeof(out));
        assert_string_equal(out, "1234");
        phone_digits("Li", out, sizeof(out));
        assert_string_equal(out, "");
        phone_digits("123", out, 1);
        assert_string_equal(out, "");
        out[0] = 'x';
        phone_digits("123", out, 0);
        assert_int_equal(out[0], 'x');
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_mask_name_shows_at_most_first_and_last),
                cmocka_unit_test(test_mask_name_broken_or_control_bytes_are_masked),
                cmocka_unit_test(test_mask_phone_hides_six_digits),
                cmocka_unit_test(test_mask_phone_digits_are_compared_without_decoration),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
