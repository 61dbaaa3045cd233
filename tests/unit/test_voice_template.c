/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored of a voice comes back as it was, and nothing else does. */
#include "voice/template.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static Template t, again;
static uint8_t bytes[TEMPLATE_MAX + 1];

static size_t write_one(const unsigned *lengths) {
        t = (Template){.n = TEMPLATE_UTTERANCES};
        for (unsigned i = 0; i < TEMPLATE_UTTERANCES; i++) {
                t.utterances[i].n = lengths[i];
                for (unsigned k = 0; k < lengths[i]; k++)
                        for (unsigned c = 0; c < UTTERANCE_COEFFICIENTS; c++)
                                t.utterances[i].cepstra[k][c] =
                                        (int16_t)(k * 977 + c * 131 - 30000 * (i == 1));
        }
        return template_write(&t, bytes);
}

static void test_every_length_comes_back(void **state) {
        static const unsigned lengths[][TEMPLATE_UTTERANCES] = {
                {UTTERANCE_MIN, UTTERANCE_MIN, UTTERANCE_MIN},
                {UTTERANCE_MAX, UTTERANCE_MAX, UTTERANCE_MAX},
                {UTTERANCE_MIN, UTTERANCE_MAX, 100},
        };

        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
                size_t n = write_one(lengths[i]);
                assert_true(n <= TEMPLATE_MAX);
                memset(&again, 0, sizeof(again));
                assert_int_equal(template_read(bytes, n, &again), 0);
                assert_memory_equal(&again, &t, sizeof(t));
        }
        assert_int_equal(write_one(lengths[1]), TEMPLATE_MAX);
}

static void test_any_byte_that_is_another_one_is_noticed(void **state) {
        size_t n = write_one((const unsigned[]){UTTERANCE_MIN, 30, 40});

        for (size_t i = 0; i < n; i++) {
                bytes[i] ^= 0x10;
                assert_int_equal(template_read(bytes, n, &again), i == 3 ? -EXDEV : -EINVAL);
                bytes[i] ^= 0x10;
        }
        assert_int_equal(template_read(bytes, n, &again), 0);
}

static void test_what_is_cut_off_or_goes_on_is_none(void **state) {
        size_t n = write_one((const unsigned[]){UTTERANCE_MIN, 30, 40});

        for (size_t i = 0; i < n; i++)
                assert_int_equal(template_read(bytes, i, &again), -EINVAL);
        assert_int_equal(template_read(bytes, n + 1, &again), -EINVAL);
}

/* Well-formed by its checksum, and still none. */
static void test_lengths_that_cannot_be_are_refused(void **state) {
        static const unsigned wrong[][TEMPLATE_UTTERANCES] = {
                {UTTERANCE_MIN - 1, 30, 40},
                {30, 0, 40},
                {30, 40, 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_int_equal(template_read(bytes, write_one(wrong[i]), &again), -EINVAL);
        size_t n = write_one((const unsigned[]){30, 30, 30});
        t.n = TEMPLATE_UTTERANCES - 1;
        assert_true(template_write(&t, bytes) < n);
        assert_int_equal(template_read(bytes, template_write(&t, bytes), &again), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_length_comes_back),
                cmocka_unit_test(test_any_byte_that_is_another_one_is_noticed),
                cmocka_unit_test(test_what_is_cut_off_or_goes_on_is_none),
                cmocka_unit_test(test_lengths_that_cannot_be_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
