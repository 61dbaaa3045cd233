/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in JSON are gone from memory when jansson gives it up. Every free() of this program and of
 * json_memory.c comes by here first (the linker's --wrap), so what lies in a block at its end can be looked
 * at while it is still ours. */
#include "base/json_memory.h"
#include "base/macros.h"

#include <jansson.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Longer than the parser's first buffer, so that it has to move, and with an escape in the middle. */
#define PART   "PIN-31415926-"
#define SECRET PART PART PART PART PART PART "\\u00e4" PART PART PART PART PART PART

/* volatile: the compiler knows that free() changes no variable of ours. */
static volatile unsigned n_freed, n_with_secret;

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block) {
        if (block) {
                n_freed++;
                n_with_secret += memmem(block, malloc_usable_size(block), "31415926", 8) != NULL;
        }
        __real_free(block);
}

static void start(void) {
        n_freed = n_with_secret = 0;
}

static void test_memory_looked_at_finds_what_was_not_erased(void **state) {
        char *volatile text = strdup(PART); /* volatile: or the compiler sees through it */

        start();
        free(text);
        assert_int_equal(n_freed, 1);
        assert_int_equal(n_with_secret, 1);
}

/* Requirement: F9 */
static void test_memory_of_a_parsed_text_is_erased(void **state) {
        static const char text[] =
                "{\"pin\":\"" SECRET "\",\"" SECRET "\":[\"" SECRET "\",{\"a\":\"" SECRET "\"}]}";

        start();
        json_t *j = json_loadb(text, sizeof(text) - 1, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(j);
        json_decref(j);
        assert_true(n_freed > 10);
        assert_int_equal(n_with_secret, 0);
}

/* Requirement: F9 */
static void test_memory_of_a_text_that_is_cut_off_is_erased(void **state) {
        static const char text[] = "{\"pin\":\"" SECRET "\",\"next\":\"" SECRET;

        for (size_t n = 1; n < sizeof(text); n++) {
                start();
                assert_null(json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL));
                assert_int_equal(n_with_secret, 0);
        }
}

/* Requirement: F9 */
static void test_memory_of_what_is_made_and_written_is_erased(void **state) {
        start();
        json_t *j = json_pack("{s:s, s:{s:s}}", "code", SECRET, "more", "code", SECRET);
        char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
        json_t *copy = json_deep_copy(j);
        assert_int_equal(json_object_set_new(copy, "code", json_string("another one")), 0);
        json_decref(copy);
        json_decref(j);
        assert_true(n_freed > 10);
        assert_int_equal(n_with_secret, 0);
        /* The text itself is the caller's, and free() takes it. */
        explicit_bzero(text, strlen(text));
        free(text);
        assert_int_equal(n_with_secret, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_memory_looked_at_finds_what_was_not_erased),
                cmocka_unit_test(test_memory_of_a_parsed_text_is_erased),
                cmocka_unit_test(test_memory_of_a_text_that_is_cut_off_is_erased),
                cmocka_unit_test(test_memory_of_what_is_made_and_written_is_erased),
        };

        json_memory_erase();
        return cmocka_run_group_tests_name("JSON memory", tests, NULL, NULL);
}
