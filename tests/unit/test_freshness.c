/* SPDX-License-Identifier: Apache-2.0 */
/* Nonces of the cabinet's state: how long each proves something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/macros.h"
#include "ledger/vault.h"
#include "sync/freshness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool no_randomness;
static uint8_t last;

int vault_random(void *ret, size_t n) {
        if (no_randomness)
                return -EIO;
        memset(ret, ++last, n);
        return 0;
}

static void take(Freshness *f, uint64_t now, char ret[FRESHNESS_NONCE_MAX]) {
        const char *nonce;

        assert_int_equal(freshness_nonce(f, now, &nonce), 0);
        snprintf(ret, FRESHNESS_NONCE_MAX, "%s", nonce);
        assert_int_equal(strlen(ret), FRESHNESS_NONCE_MAX - 1);
}

/* Requirement: F16, F5 */
static void test_nonce_proves_for_two_minutes_and_is_renewed_after_one(void **state) {
        const uint64_t start = 5000 * USEC_PER_SEC;
        Freshness f = {0};
        char first[FRESHNESS_NONCE_MAX], again[FRESHNESS_NONCE_MAX], second[FRESHNESS_NONCE_MAX];

        assert_false(freshness_proves(&f, start, "00"));
        take(&f, start, first);
        take(&f, start + 59 * USEC_PER_SEC, again);
        assert_string_equal(first, again);
        take(&f, start + 60 * USEC_PER_SEC, second);
        assert_string_not_equal(first, second);
        assert_true(freshness_proves(&f, start + 119 * USEC_PER_SEC, first));
        assert_true(freshness_proves(&f, start + 119 * USEC_PER_SEC, second));
        assert_false(freshness_proves(&f, start + 120 * USEC_PER_SEC, first));
        assert_true(freshness_proves(&f, start + 179 * USEC_PER_SEC, second));
        assert_false(freshness_proves(&f, start + 180 * USEC_PER_SEC, second));
        assert_false(freshness_proves(&f, start + 119 * USEC_PER_SEC, ""));
        assert_false(freshness_proves(&f, start + 119 * USEC_PER_SEC, NULL));
        assert_false(freshness_proves(&f, start, second)); /* not made yet: another boot */
        freshness_renew(&f);
        assert_false(freshness_proves(&f, start + 119 * USEC_PER_SEC, second));
}

/* Requirement: F16 */
static void test_nonce_without_randomness_is_none(void **state) {
        Freshness f = {0};
        const char *nonce = NULL;

        no_randomness = true;
        assert_int_equal(freshness_nonce(&f, 1, &nonce), -EIO);
        assert_false(freshness_proves(&f, 1, "00000000000000000000000000000000"));
        no_randomness = false;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nonce_proves_for_two_minutes_and_is_renewed_after_one),
                cmocka_unit_test(test_nonce_without_randomness_is_none),
        };

        return cmocka_run_group_tests_name("freshness", tests, NULL, NULL);
}
