/* SPDX-License-Identifier: Apache-2.0 */
/* F1, F6 at the lowest level: which bytes are the answer to a question, and which answers cannot be told
 * apart. */
#include "base/macros.h"
#include "line/doubt.h"
#include "line/modbus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const Request read8 = {1, MODBUS_READ_INPUTS, 0, 8}, read16 = {1, MODBUS_READ_INPUTS, 0, 16},
                     coils8 = {1, MODBUS_READ_COILS, 0, 8}, identify = {1, MODBUS_READ_HOLDING, 7, 1},
                     flash = {1, MODBUS_WRITE_COIL, 0x0200, 5}, odd = {1, 0x10, 0, 1};

typedef struct Row {
        const char *what;
        const Request *request;
        uint8_t bytes[16];
        size_t n;
        Verdict verdict;
} Row;

/* Without the checksum, which the test appends (or not). */
static const Row rows[] = {
        {"inputs", &read8, {1, 2, 1, 0xA5}, 4, ANSWER_GOOD},
        {"coils", &coils8, {1, 1, 1, 0xA5}, 4, ANSWER_GOOD},
        {"sixteen inputs", &read16, {1, 2, 2, 0xA5, 0x5A}, 5, ANSWER_GOOD},
        {"register", &identify, {1, 3, 2, 0x12, 0x34}, 5, ANSWER_GOOD},
        {"echo", &flash, {1, 5, 2, 0, 0, 5}, 6, ANSWER_GOOD},
        {"refusal", &read8, {1, 0x82, 2}, 3, ANSWER_EXCEPTION},
        {"refused write", &flash, {1, 0x85, 4}, 3, ANSWER_EXCEPTION},
        {"refusal without a code", &read8, {1, 0x82, 0}, 3, ANSWER_DAMAGED},
        {"another board", &read8, {2, 2, 1, 0xA5}, 4, ANSWER_FOREIGN},
        {"another board's refusal", &read8, {2, 0x82, 2}, 3, ANSWER_FOREIGN},
        {"another function", &read8, {1, 1, 1, 0xA5}, 4, ANSWER_FOREIGN},
        {"another function's refusal", &read8, {1, 0x81, 2}, 3, ANSWER_FOREIGN},
        {"more inputs", &read8, {1, 2, 2, 0xA5, 0x5A}, 5, ANSWER_FOREIGN},
        {"fewer inputs", &read16, {1, 2, 1, 0xA5}, 4, ANSWER_FOREIGN},
        {"echo of another coil", &flash, {1, 5, 2, 1, 0, 5}, 6, ANSWER_FOREIGN},
        {"echo of another length", &flash, {1, 5, 2, 0, 0, 4}, 6, ANSWER_FOREIGN},
        {"echo of another bank", &flash, {1, 5, 0, 0, 0, 5}, 6, ANSWER_FOREIGN},
        {"a function nobody asks", &odd, {1, 0x10, 0, 0, 0, 1}, 6, ANSWER_DAMAGED},
};

static void test_answer_rtu_as_in_the_table(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const Row *row = &rows[i];
                uint8_t bytes[32];
                uint16_t crc = modbus_crc(row->bytes, row->n);
                Answer a = {0};

                memcpy(bytes, row->bytes, row->n);
                bytes[row->n] = (uint8_t)crc;
                bytes[row->n + 1] = (uint8_t)(crc >> 8);
                Verdict v = modbus_driver.judge(FRAMING_SERIAL, row->request, bytes, row->n + 2, &a);
                if (v != row->verdict)
                        fail_msg("%s: %d", row->what, v);
                if (v != ANSWER_GOOD && v != ANSWER_EXCEPTION)
                        continue;
                /* every shorter piece is incomplete, every longer one and every flipped bit is not believed
                 */
                for (size_t n = 0; n < row->n + 2; n++)
                        if (modbus_driver.judge(FRAMING_SERIAL, row->request, bytes, n, &a) !=
                            ANSWER_INCOMPLETE)
                                fail_msg("%s cut to %zu", row->what, n);
                bytes[row->n + 2] = 0;
                assert_int_equal(modbus_driver.judge(FRAMING_SERIAL, row->request, bytes, row->n + 3, &a),
                                 ANSWER_DAMAGED);
                for (size_t bit = 0; bit < 8 * (row->n + 2); bit++) {
                        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                        v = modbus_driver.judge(FRAMING_SERIAL, row->request, bytes, row->n + 2, &a);
                        if (v == ANSWER_GOOD || v == ANSWER_EXCEPTION)
                                fail_msg("%s with bit %zu flipped", row->what, bit);
                        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                }
        }
}

static void test_answer_tcp_as_in_the_table(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const Row *row = &rows[i];
                uint8_t bytes[32] = {0, 0, 0, 0, 0, (uint8_t)row->n};
                Answer a = {0};

                memcpy(bytes + 6, row->bytes, row->n);
                Verdict v = modbus_driver.judge(FRAMING_TCP, row->request, bytes, row->n + 6, &a);
                if (v != row->verdict)
                        fail_msg("%s: %d", row->what, v);
        }
}

static void test_answer_tcp_of_another_transaction_is_foreign(void **state) {
        const uint8_t bytes[] = {0, 7, 0, 0, 0, 4, 1, 2, 1, 0xA5};
        Answer a;

        assert_int_equal(modbus_driver.judge(FRAMING_TCP, &read8, bytes, sizeof(bytes), &a), ANSWER_FOREIGN);
}

static void test_answer_tcp_with_wrong_length_is_damaged(void **state) {
        const uint8_t bytes[] = {0, 0, 0, 0, 0, 5, 1, 2, 1, 0xA5};
        Answer a;

        assert_int_equal(modbus_driver.judge(FRAMING_TCP, &read8, bytes, sizeof(bytes), &a), ANSWER_DAMAGED);
}

static void test_answer_good_hands_out_the_payload(void **state) {
        const uint8_t bytes[] = {1, 2, 1, 0xA5, 0x61, 0xF3}, refusal[] = {1, 0x82, 2, 0xC1, 0x61};
        Answer a = {0};

        assert_int_equal(modbus_driver.judge(FRAMING_SERIAL, &read8, bytes, sizeof(bytes), &a), ANSWER_GOOD);
        assert_int_equal(a.n_data, 1);
        assert_int_equal(a.data[0], 0xA5);
        assert_int_equal(modbus_driver.judge(FRAMING_SERIAL, &read8, refusal, sizeof(refusal), &a),
                         ANSWER_EXCEPTION);
        assert_int_equal(a.exception, MODBUS_BAD_ADDRESS);
        assert_int_equal(a.n_data, 0);
}

/* The maker's documented frames: an independent checksum. */
static void test_crc_equals_the_makers_examples(void **state) {
        static const uint8_t frames[][8] = {
                {0x01, 0x05, 0x02, 0x00, 0x00, 0x05, 0x0C, 0x71},
                {0x01, 0x05, 0x00, 0xFF, 0x00, 0x00, 0xFD, 0xFA},
                {0x01, 0x01, 0x00, 0x00, 0x00, 0x08, 0x3D, 0xCC},
                {0x01, 0x02, 0x00, 0x00, 0x00, 0x08, 0x79, 0xCC},
                {0x01, 0x01, 0x00, 0x00, 0x00, 0x30, 0x3C, 0x1E},
        };

        for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
                assert_int_equal(modbus_crc(frames[i], 6), frames[i][6] | frames[i][7] << 8);
}

static void test_request_build_is_big_endian(void **state) {
        const uint8_t want[] = {1, 5, 2, 0, 0, 5};
        uint8_t got[MODBUS_BODY];

        modbus_body(&flash, got);
        assert_memory_equal(got, want, sizeof(want));
        assert_int_equal(modbus_driver.answer_length(FRAMING_SERIAL, &flash), 8);
        assert_int_equal(modbus_driver.answer_length(FRAMING_TCP, &read16), 11);
        assert_int_equal(modbus_driver.answer_length(FRAMING_SERIAL, &odd), 0);
}

static void test_shape_is_what_an_answer_shows(void **state) {
        const Request beyond = {1, MODBUS_READ_INPUTS, 8, 1}, other = {2, MODBUS_READ_INPUTS, 0, 8},
                      on = {1, MODBUS_WRITE_COIL, 3, 0xFF00}, off = {1, MODBUS_WRITE_COIL, 3, 0};

        assert_true(modbus_driver.same_shape(&read8, &beyond)); /* one byte either way */
        assert_false(modbus_driver.same_shape(&read8, &read16));
        assert_false(modbus_driver.same_shape(&read8, &coils8));
        assert_false(modbus_driver.same_shape(&read8, &other));
        assert_true(modbus_driver.same_shape(&on, &on));
        assert_false(modbus_driver.same_shape(&on, &off));
}

static void test_doubt_holds_back_the_same_shape_only(void **state) {
        Doubts d = {.driver = &modbus_driver};

        doubts_add(&d, &read8, 100, 1100);
        assert_int_equal(doubts_until(&d, &read8), 1100);
        assert_int_equal(doubts_until(&d, &read16), 0);
        assert_int_equal(doubts_until(&d, &coils8), 0);
        doubts_add(&d, &read8, 500, 1500);
        assert_int_equal(doubts_until(&d, &read8), 1500);
}

static void test_doubt_holds_back_every_refusal_of_the_function(void **state) {
        Doubts d = {.driver = &modbus_driver};

        doubts_add(&d, &read8, 100, 1100);
        assert_int_equal(doubts_exception_until(&d, &read16), 1100);
        assert_int_equal(doubts_exception_until(&d, &coils8), 0);
}

static void test_doubt_beyond_the_table_holds_back_everything(void **state) {
        Doubts d = {.driver = &modbus_driver};

        for (unsigned i = 0; i <= DOUBTS_MAX; i++) {
                Request q = {1, MODBUS_WRITE_COIL, (uint16_t)i, 0};
                doubts_add(&d, &q, 100, 1100 + i);
        }
        assert_int_equal(doubts_until(&d, &read8), 1100 + DOUBTS_MAX);
        /* places of doubts that are over are used again */
        doubts_add(&d, &coils8, 5000, 6000);
        assert_int_equal(doubts_until(&d, &coils8), 6000);
        assert_true(doubts_until(&d, &read8) < 5000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answer_rtu_as_in_the_table),
                cmocka_unit_test(test_answer_tcp_as_in_the_table),
                cmocka_unit_test(test_answer_tcp_of_another_transaction_is_foreign),
                cmocka_unit_test(test_answer_tcp_with_wrong_length_is_damaged),
                cmocka_unit_test(test_answer_good_hands_out_the_payload),
                cmocka_unit_test(test_crc_equals_the_makers_examples),
                cmocka_unit_test(test_request_build_is_big_endian),
                cmocka_unit_test(test_shape_is_what_an_answer_shows),
                cmocka_unit_test(test_doubt_holds_back_the_same_shape_only),
                cmocka_unit_test(test_doubt_holds_back_every_refusal_of_the_function),
                cmocka_unit_test(test_doubt_beyond_the_table_holds_back_everything),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
