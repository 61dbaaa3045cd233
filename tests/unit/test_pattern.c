/* SPDX-License-Identifier: Apache-2.0 */
/* What may be enrolled as a drawn pattern or a card. */
#include "identity/identity.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static int judge(CredentialKind k, const char *secret, unsigned shortest, const char **ret_sentence) {
        *ret_sentence = NULL;
        return identity_verifier(k)->acceptable((const uint8_t *)secret, strlen(secret), shortest,
                                                ret_sentence);
}

static void assert_refused(CredentialKind k, const char *secret, unsigned shortest, int expected,
                           const char *says) {
        const char *sentence;
        int r = judge(k, secret, shortest, &sentence);

        if (r != expected)
                fail_msg("\"%s\": %d instead of %d", secret, r, expected);
        if (says && (!sentence || !strstr(sentence, says)))
                fail_msg("\"%s\": says \"%s\"", secret, sentence ? sentence : "nothing");
}

/* Requirement: C1 */
static void test_pattern_that_cannot_be_drawn_is_refused_with_its_reason(void **state) {
        static const char *const good[] = {"04587", "13408", "43716", "472105836", "4081267", "14057"};
        const char *sentence;

        assert_refused(CREDENTIAL_PATTERN, "0123", 5, -EINVAL, "too few nodes");
        assert_refused(CREDENTIAL_PATTERN, "", 5, -EINVAL, "too few nodes");
        assert_refused(CREDENTIAL_PATTERN, "04587", 6, -EINVAL, "MinimumPatternLength=");
        assert_refused(CREDENTIAL_PATTERN, "04589", 5, -EINVAL, "0 to 8");
        assert_refused(CREDENTIAL_PATTERN, "04 87", 5, -EINVAL, "0 to 8");
        assert_refused(CREDENTIAL_PATTERN, "04580", 5, -EINVAL, "twice");
        assert_refused(CREDENTIAL_PATTERN, "00458", 5, -EINVAL, "twice");
        assert_refused(CREDENTIAL_PATTERN, "02587", 5, -EINVAL, "crosses");
        assert_refused(CREDENTIAL_PATTERN, "53410", 5, -EINVAL, "crosses"); /* 5 to 3, over 4 */
        assert_refused(CREDENTIAL_PATTERN, "08765", 5, -EINVAL, "crosses");
        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                if (judge(CREDENTIAL_PATTERN, good[i], 5, &sentence) != 0)
                        fail_msg("%s: refused (%s)", good[i], sentence ? sentence : "too simple");
        /* What everybody draws first, in any orientation and direction. */
        assert_refused(CREDENTIAL_PATTERN, "01258", 5, -EDOM, NULL);
        assert_refused(CREDENTIAL_PATTERN, "85210", 5, -EDOM, NULL);
        assert_refused(CREDENTIAL_PATTERN, "03678", 5, -EDOM, NULL);
        assert_refused(CREDENTIAL_PATTERN, "0124678", 5, -EDOM, NULL);
        assert_refused(CREDENTIAL_PATTERN, "2104876", 5, -EDOM, NULL); /* Z, mirrored */
        assert_refused(CREDENTIAL_PATTERN, "678543012", 5, -EDOM, NULL);
}

/* Every sequence of five to nine different nodes, against a count that others have published (Android's
 * 389112 patterns of four and more, less the 1624 of four). */
static void extend(char *pattern, size_t n, unsigned used, unsigned *legal, unsigned *common) {
        const char *sentence;

        pattern[n] = 0;
        if (n >= 5) {
                int r = judge(CREDENTIAL_PATTERN, pattern, 5, &sentence);
                *legal += r != -EINVAL;
                *common += r == -EDOM;
        }
        for (unsigned i = 0; i < 9; i++)
                if (!(used >> i & 1)) {
                        pattern[n] = (char)('0' + i);
                        extend(pattern, n + 1, used | 1U << i, legal, common);
                }
}

/* Requirement: C1, F15 */
static void test_pattern_there_are_as_many_as_the_budgets_count_with(void **state) {
        unsigned legal = 0, common = 0;
        char pattern[10];

        extend(pattern, 0, 0, &legal, &common);
        print_message("%u legal patterns, of which %u are too common\n", legal, common);
        assert_int_equal(legal, credential_space(CREDENTIAL_PATTERN, 9, 5));
        assert_in_range(common, 60, 240);
}

/* Requirement: C1 */
static void test_card_must_be_long_and_printable(void **state) {
        const char *sentence;

        assert_refused(CREDENTIAL_CARD, "40044", 16, -EINVAL, "MinimumCardLength=");
        assert_refused(CREDENTIAL_CARD, "4006381333931 12345", 16, -EINVAL, "without blanks");
        assert_refused(CREDENTIAL_CARD, "4006381333931\t12345", 16, -EINVAL, "printable ASCII");
        assert_refused(CREDENTIAL_CARD,
                       "4006381333931\xc3\xbc"
                       "12345",
                       16, -EINVAL, "printable ASCII");
        assert_refused(CREDENTIAL_CARD, "1111111111111111", 16, -EDOM, NULL);
        assert_refused(CREDENTIAL_CARD, "abcdefghijklmnop", 16, -EDOM, NULL);
        assert_int_equal(judge(CREDENTIAL_CARD, "8230119945602718", 16, &sentence), 0);
        assert_int_equal(judge(CREDENTIAL_CARD, "https://x.example/c?8A-71", 16, &sentence), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pattern_that_cannot_be_drawn_is_refused_with_its_reason),
                cmocka_unit_test(test_pattern_there_are_as_many_as_the_budgets_count_with),
                cmocka_unit_test(test_card_must_be_long_and_printable),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
