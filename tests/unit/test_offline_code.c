/* SPDX-License-Identifier: Apache-2.0 */
/* The test vectors that docs/link.md publishes, by what the cabinet computes. */
#include "core/offline_code.h"
#include "base/text.h"
#include "ledger/vault.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define DOCUMENT "docs/link.md" /* below the source directory, where the test runs */

static json_t *load_vectors(void) {
        static const char begin[] = "```json vectors\n";
        static char text[256 * 1024];
        FILE *f = fopen(DOCUMENT, "r");

        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = 0;
        fclose(f);
        char *at = strstr(text, begin);
        assert_non_null(at);
        at += sizeof(begin) - 1;
        char *end = strstr(at, "```");
        assert_non_null(end);
        json_t *vectors = json_loadb(at, (size_t)(end - at), 0, NULL);
        assert_non_null(vectors);
        return vectors;
}

static void assert_vector(const json_t *v) {
        const char *cabinet_key, *wanted_key, *crockford, *digits;
        json_int_t deposited, parcel;
        OfflineDeposit d;

        assert_int_equal(json_unpack((json_t *)v, "{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s}", "cabinet_key",
                                     &cabinet_key, "cabinet", &d.cabinet, "slot", &d.slot, "deposited",
                                     &deposited, "parcel", &parcel, "key", &wanted_key, "crockford",
                                     &crockford, "digits", &digits),
                         0);
        d.usec = deposited;
        d.parcel = (uint64_t)parcel;
        uint8_t master[VAULT_KEY_SIZE], key[OFFLINE_KEY_SIZE], data[OFFLINE_DATA_MAX], mac[OFFLINE_MAC_SIZE];
        char hex[2 * OFFLINE_KEY_SIZE + 1], code[CODE_LENGTH + 1];
        _cleanup_(vault_freep) Vault *vault = NULL;

        assert_int_equal(text_from_hex(cabinet_key, master, sizeof(master)), 0);
        assert_int_equal(vault_new(&vault, master), 0);
        assert_int_equal(vault_derive(vault, VAULT_OFFLINE, data, offline_key_info(&d, data), key), 0);
        text_to_hex(key, sizeof(key), hex);
        assert_string_equal(hex, wanted_key);
        vault_mac_by(key, data, offline_code_message(&d, data), mac);
        offline_code_of(CODE_CROCKFORD, mac, code);
        assert_string_equal(code, crockford);
        offline_code_of(CODE_DIGITS, mac, code);
        assert_string_equal(code, digits);
}

/* Requirement: B2 */
static void test_offline_code_published_vectors_are_what_the_cabinet_computes(void **state) {
        json_t *vectors = load_vectors(), *v;
        size_t i;

        assert_true(json_array_size(vectors) >= 5);
        json_array_foreach(vectors, i, v) assert_vector(v);
        json_decref(vectors);
}

/* Requirement: B2 */
static void test_offline_code_texts_are_bounded_and_cannot_run_into_each_other(void **state) {
        char longest[2 * OFFLINE_TEXT_MAX + 1];
        uint8_t a[OFFLINE_DATA_MAX], b[OFFLINE_DATA_MAX];
        OfflineDeposit d = {.cabinet = longest, .slot = longest, .usec = INT64_MAX, .parcel = UINT64_MAX};

        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = 0;
        assert_true(offline_key_info(&d, a) <= sizeof(a));
        assert_true(offline_code_message(&d, a) <= sizeof(a));
        /* "1" in "C2" is not "" in "C21". */
        const OfflineDeposit one = {.cabinet = "C2", .slot = "1"}, other = {.cabinet = "C21", .slot = ""};
        size_t n = offline_key_info(&one, a);
        assert_int_equal(offline_key_info(&other, b), n);
        assert_memory_not_equal(a, b, n);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_offline_code_published_vectors_are_what_the_cabinet_computes),
                cmocka_unit_test(test_offline_code_texts_are_bounded_and_cannot_run_into_each_other),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
