/* SPDX-License-Identifier: Apache-2.0 */
/* F1, F6 at the lowest level, for the protocols that are not Modbus: how a request looks, and which bytes are
 * the response to it. */
#include "base/macros.h"
#include "line/doubt.h"
#include "line/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const WireProfile kerong = {.protocol = BOARD_KERONG, .outputs = 16, .inputs = 32},
                         winnsen = {.protocol = BOARD_WINNSEN, .outputs = 16, .inputs = 16};

static Request kerong_status(uint8_t board) {
        Request q;

        assert_true(kerong_driver.status(&kerong, board, 0, &q));
        return q;
}

static Request kerong_unlock(uint8_t board, unsigned lock) {
        Request q;

        kerong_driver.energise(&kerong, board, lock, 500, &q);
        return q;
}

static Request winnsen_status(uint8_t board, unsigned lock) {
        Request q;

        assert_true(winnsen_driver.status(&winnsen, board, lock, &q));
        return q;
}

static Request winnsen_unlock(uint8_t board, unsigned lock) {
        Request q;

        winnsen_driver.energise(&winnsen, board, lock, 750, &q);
        return q;
}

typedef struct Sent {
        const BoardDriver *driver;
        Request request;
        uint8_t bytes[8];
        size_t n;
} Sent;

/* Frames as their makers' documents and other people's programs show them. */
static void test_request_looks_as_documented(void **state) {
        const Sent rows[] = {
                {&kerong_driver, kerong_status(0), {0x02, 0x00, 0x30, 0x03, 0x35}, 5},
                {&kerong_driver, kerong_unlock(0, 0), {0x02, 0x00, 0x31, 0x03, 0x36}, 5},
                {&kerong_driver, kerong_unlock(0, 15), {0x02, 0x0F, 0x31, 0x03, 0x45}, 5},
                {&kerong_driver, kerong_status(15), {0x02, 0xF0, 0x30, 0x03, 0x25}, 5},
                {&kerong_driver, kerong_unlock(3, 9), {0x02, 0x39, 0x31, 0x03, 0x6F}, 5},
                {&winnsen_driver, winnsen_unlock(1, 4), {0x90, 0x06, 0x05, 0x01, 0x05, 0x03}, 6},
                {&winnsen_driver, winnsen_status(0, 0), {0x90, 0x06, 0x12, 0x00, 0x01, 0x03}, 6},
                {&winnsen_driver, winnsen_status(2, 15), {0x90, 0x06, 0x12, 0x02, 0x10, 0x03}, 6},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t bytes[REQUEST_MAX];
                assert_int_equal(rows[i].driver->build(FRAMING_SERIAL, &rows[i].request, bytes), rows[i].n);
                assert_memory_equal(bytes, rows[i].bytes, rows[i].n);
        }
}

typedef struct Row {
        const char *what;
        const BoardDriver *driver;
        Request request;
        uint8_t bytes[12];
        size_t n;
        Verdict verdict;
} Row;

/* Every shorter piece of a good response is incomplete, every longer one is not believed, and of its bits
 * only those that the protocol cannot protect may change without being noticed: `payload` in front of the end
 * of a frame. */
static void check_around(const Row *row, size_t payload) {
        uint8_t bytes[16];
        Answer a;

        memcpy(bytes, row->bytes, row->n);
        for (size_t n = 0; n < row->n; n++)
                if (row->driver->judge(FRAMING_SERIAL, &row->request, bytes, n, &a) != ANSWER_INCOMPLETE)
                        fail_msg("%s cut to %zu", row->what, n);
        bytes[row->n] = 0x03;
        assert_int_equal(row->driver->judge(FRAMING_SERIAL, &row->request, bytes, row->n + 1, &a),
                         ANSWER_DAMAGED);
        for (size_t bit = 0; bit < 8 * row->n; bit++) {
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                Verdict v = row->driver->judge(FRAMING_SERIAL, &row->request, bytes, row->n, &a);
                if ((v == ANSWER_GOOD || v == ANSWER_EXCEPTION) && bit / 8 != payload)
                        fail_msg("%s with bit %zu flipped", row->what, bit);
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
}

static void test_answer_kerong_as_in_the_table(void **state) {
        const Request status = kerong_status(1), unlock = kerong_unlock(1, 5);
        const Row rows[] = {
                {"status",
                 &kerong_driver,
                 status,
                 {2, 0x10, 0x35, 0xFF, 0x0F, 0, 0x80, 3, 0xD8},
                 9,
                 ANSWER_GOOD},
                {"unlock, the board named",
                 &kerong_driver,
                 unlock,
                 {2, 0x10, 0x35, 0, 0, 0, 0, 3, 0x4A},
                 9,
                 ANSWER_GOOD},
                {"unlock, the lock named",
                 &kerong_driver,
                 unlock,
                 {2, 0x15, 0x35, 0, 0, 0, 0, 3, 0x4F},
                 9,
                 ANSWER_GOOD},
                {"unlock, another lock named",
                 &kerong_driver,
                 unlock,
                 {2, 0x16, 0x35, 0, 0, 0, 0, 3, 0x50},
                 9,
                 ANSWER_FOREIGN},
                {"status, a lock named",
                 &kerong_driver,
                 status,
                 {2, 0x15, 0x35, 0, 0, 0, 0, 3, 0x4F},
                 9,
                 ANSWER_FOREIGN},
                {"another board",
                 &kerong_driver,
                 status,
                 {2, 0x20, 0x35, 0, 0, 0, 0, 3, 0x5A},
                 9,
                 ANSWER_FOREIGN},
                {"wrong sum",
                 &kerong_driver,
                 status,
                 {2, 0x10, 0x35, 0, 0, 0, 0, 3, 0x4B},
                 9,
                 ANSWER_DAMAGED},
                {"wrong end",
                 &kerong_driver,
                 status,
                 {2, 0x10, 0x35, 0, 0, 0, 0, 4, 0x4B},
                 9,
                 ANSWER_DAMAGED},
                {"all boards' status",
                 &kerong_driver,
                 status,
                 {2, 0x10, 0x36, 0, 0, 0, 0, 3, 0x4B},
                 9,
                 ANSWER_FOREIGN},
                {"the request itself", &kerong_driver, status, {2, 0x10, 0x30, 3, 0x45}, 5, ANSWER_FOREIGN},
                {"no start", &kerong_driver, status, {0x10, 0x35, 0, 0, 0, 0, 3, 0x4A, 0}, 9, ANSWER_FOREIGN},
                {"a request nobody makes",
                 &kerong_driver,
                 {1, 0x33, 0, 0},
                 {2, 0x10, 0x35, 0, 0, 0, 0, 3, 0x4A},
                 9,
                 ANSWER_DAMAGED},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                Answer a = {0};
                Verdict v =
                        kerong_driver.judge(FRAMING_SERIAL, &rows[i].request, rows[i].bytes, rows[i].n, &a);
                if (v != rows[i].verdict)
                        fail_msg("%s: %d", rows[i].what, v);
                if (v == ANSWER_GOOD)
                        check_around(&rows[i], SIZE_MAX);
        }
}

static void test_answer_winnsen_as_in_the_table(void **state) {
        const Request status = winnsen_status(1, 4), unlock = winnsen_unlock(1, 4);
        const Row rows[] = {
                {"open", &winnsen_driver, status, {0x90, 7, 0x92, 1, 5, 1, 3}, 7, ANSWER_GOOD},
                {"shut", &winnsen_driver, status, {0x90, 7, 0x92, 1, 5, 0, 3}, 7, ANSWER_GOOD},
                {"neither", &winnsen_driver, status, {0x90, 7, 0x92, 1, 5, 2, 3}, 7, ANSWER_DAMAGED},
                {"unlocked", &winnsen_driver, unlock, {0x90, 7, 0x85, 1, 5, 1, 3}, 7, ANSWER_GOOD},
                {"still shut", &winnsen_driver, unlock, {0x90, 7, 0x85, 1, 5, 0, 3}, 7, ANSWER_GOOD},
                {"spared", &winnsen_driver, unlock, {0x90, 7, 0x85, 1, 5, 2, 3}, 7, ANSWER_EXCEPTION},
                {"unknown", &winnsen_driver, unlock, {0x90, 7, 0x85, 1, 5, 9, 3}, 7, ANSWER_DAMAGED},
                {"another lock", &winnsen_driver, unlock, {0x90, 7, 0x85, 1, 6, 1, 3}, 7, ANSWER_FOREIGN},
                {"another board", &winnsen_driver, unlock, {0x90, 7, 0x85, 2, 5, 1, 3}, 7, ANSWER_FOREIGN},
                {"another function", &winnsen_driver, unlock, {0x90, 7, 0x92, 1, 5, 1, 3}, 7, ANSWER_FOREIGN},
                {"another length",
                 &winnsen_driver,
                 status,
                 {0x90, 8, 0x92, 1, 5, 1, 1, 3},
                 8,
                 ANSWER_FOREIGN},
                {"the request itself", &winnsen_driver, status, {0x90, 6, 0x12, 1, 5, 3}, 6, ANSWER_FOREIGN},
                {"wrong end", &winnsen_driver, status, {0x90, 7, 0x92, 1, 5, 1, 4}, 7, ANSWER_DAMAGED},
                {"a request nobody makes",
                 &winnsen_driver,
                 {1, 0x13, 4, 0},
                 {0x90, 7, 0x93, 1, 5, 1, 3},
                 7,
                 ANSWER_DAMAGED},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                Answer a = {0};
                Verdict v =
                        winnsen_driver.judge(FRAMING_SERIAL, &rows[i].request, rows[i].bytes, rows[i].n, &a);
                if (v != rows[i].verdict)
                        fail_msg("%s: %d", rows[i].what, v);
                if (v == ANSWER_GOOD)
                        check_around(&rows[i], 5);
        }
}

static void test_values_land_on_their_channels(void **state) {
        uint8_t bits[WIRE_CHANNELS / 8] = {0}, mask[WIRE_CHANNELS / 8] = {0};
        const uint8_t data[] = {0x01, 0x80, 0x02, 0x40}, open = 1;
        const Answer all = {.data = data, .n_data = 4}, one = {.data = &open, .n_data = 1};
        Request q = kerong_status(0);

        kerong_driver.values(&kerong, &q, &all, bits, mask);
        assert_true(wire_bit(bits, 0) && wire_bit(bits, 15) && wire_bit(bits, 17) && wire_bit(bits, 30));
        assert_true(wire_bit(mask, 31) && !wire_bit(mask, 32));

        memset(bits, 0, sizeof(bits));
        memset(mask, 0, sizeof(mask));
        q = winnsen_status(0, 11);
        winnsen_driver.values(&winnsen, &q, &one, bits, mask);
        for (unsigned i = 0; i < WIRE_CHANNELS; i++) {
                assert_int_equal(wire_bit(mask, i), i == 11);
                assert_int_equal(wire_bit(bits, i), i == 11);
        }
}

static void test_status_has_as_many_parts_as_it_takes(void **state) {
        Request q;

        assert_true(kerong_driver.status(&kerong, 0, 0, &q));
        assert_false(kerong_driver.status(&kerong, 0, 1, &q));
        assert_true(winnsen_driver.status(&winnsen, 0, 15, &q));
        assert_false(winnsen_driver.status(&winnsen, 0, 16, &q));
}

/* A late response to a status request of a Kerong board says nothing about the next; that of another Winnsen
 * lock names it. */
static void test_doubt_knows_what_a_response_names(void **state) {
        Doubts k = {.driver = &kerong_driver}, w = {.driver = &winnsen_driver};
        Request q = kerong_status(1), other = kerong_status(2), unlock = kerong_unlock(1, 3);

        doubts_add(&k, &q, 100, 1100);
        assert_int_equal(doubts_until(&k, &q), 1100);
        assert_int_equal(doubts_until(&k, &unlock), 1100);
        assert_int_equal(doubts_until(&k, &other), 0);
        q = winnsen_status(1, 3);
        other = winnsen_status(1, 4);
        doubts_add(&w, &q, 100, 1100);
        assert_int_equal(doubts_until(&w, &q), 1100);
        assert_int_equal(doubts_until(&w, &other), 0);
}

/* Random bytes, and right responses with random damage: what is believed is right, byte for byte. */
static void test_garbage_is_not_believed(void **state) {
        unsigned believed = 0;

        srandom(1);
        for (unsigned i = 0; i < 500000; i++) {
                uint8_t bytes[16], good[16] = {2, 0x10, 0x35, (uint8_t)random(), (uint8_t)random(), 0, 0, 3};
                size_t n = (size_t)random() % sizeof(bytes), want = 9;
                const BoardDriver *driver = i % 2 ? &kerong_driver : &winnsen_driver;
                Request q = i % 2 ? kerong_status(1) : winnsen_status(1, 4);
                Answer a;

                for (size_t k = 0; k < 8; k++)
                        good[8] = (uint8_t)(good[8] + good[k]);
                if (driver == &winnsen_driver) {
                        const uint8_t frame[] = {0x90, 7, 0x92, 1, 5, (uint8_t)(random() % 2), 3};
                        memcpy(good, frame, want = sizeof(frame));
                }
                for (size_t k = 0; k < n; k++)
                        bytes[k] = (uint8_t)random();
                if (random() % 2) {
                        memcpy(bytes, good, n = want);
                        bytes[random() % (long)n] = (uint8_t)random();
                }
                if (driver->judge(FRAMING_SERIAL, &q, bytes, n, &a) != ANSWER_GOOD)
                        continue;
                believed++;
                assert_int_equal(n, want);
                /* A sum and an end that fit by chance are a response; nothing else may differ. */
                assert_memory_equal(bytes, good, 3);
                assert_int_equal(bytes[i % 2 ? 7 : 6], 3);
                if (i % 2) {
                        uint8_t s = 0;
                        for (size_t k = 0; k < 8; k++)
                                s = (uint8_t)(s + bytes[k]);
                        assert_int_equal(s, bytes[8]);
                } else
                        assert_in_range(bytes[5], 0, 1);
        }
        assert_true(believed > 100);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_request_looks_as_documented),
                cmocka_unit_test(test_answer_kerong_as_in_the_table),
                cmocka_unit_test(test_answer_winnsen_as_in_the_table),
                cmocka_unit_test(test_values_land_on_their_channels),
                cmocka_unit_test(test_status_has_as_many_parts_as_it_takes),
                cmocka_unit_test(test_doubt_knows_what_a_response_names),
                cmocka_unit_test(test_garbage_is_not_believed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
