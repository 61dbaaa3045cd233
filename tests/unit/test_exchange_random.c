/* SPDX-License-Identifier: Apache-2.0 */
/* A million right answers, changed at random: what is accepted in the end is byte for byte a right answer to
 * the question that was asked. */
#include "line/modbus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ROUNDS 1000000u

static uint64_t state;

static uint32_t draw(uint32_t below) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (uint32_t)(state >> 33) % below;
}

static Request question(void) {
        static const uint8_t functions[] = {MODBUS_READ_COILS, MODBUS_READ_INPUTS, MODBUS_READ_HOLDING,
                                            MODBUS_READ_INPUT, MODBUS_WRITE_COIL};
        static const uint16_t counts[] = {1, 8, 16, 48}, values[] = {0xFF00, 0x0000, 3};
        Request q = {(uint8_t)(1 + draw(3)), functions[draw(5)], (uint16_t)draw(4), counts[draw(4)]};

        if (q.function == MODBUS_WRITE_COIL)
                q.value = values[draw(3)];
        return q;
}

static size_t seal(Framing framing, uint8_t *bytes, size_t head, size_t body) {
        if (framing == FRAMING_TCP) {
                memset(bytes, 0, 4);
                bytes[4] = 0;
                bytes[5] = (uint8_t)body;
                return head + body;
        }
        uint16_t crc = modbus_crc(bytes, body);
        bytes[body] = (uint8_t)crc;
        bytes[body + 1] = (uint8_t)(crc >> 8);
        return body + 2;
}

/* What a board that works right says; now and then a refusal. */
static size_t right_answer(Framing framing, const Request *q, uint8_t bytes[ANSWER_MAX]) {
        size_t head = framing == FRAMING_TCP ? 6 : 0, n;
        uint8_t *b = bytes + head;

        b[0] = q->unit;
        b[1] = q->function;
        if (draw(8) == 0) {
                b[1] |= 0x80;
                b[2] = (uint8_t)(1 + draw(11));
                n = 3;
        } else if (q->function == MODBUS_WRITE_COIL) {
                modbus_body(q, b);
                n = MODBUS_BODY;
        } else {
                n = q->function <= MODBUS_READ_INPUTS ? (q->value + 7u) / 8 : 2u * q->value;
                b[2] = (uint8_t)n;
                for (size_t i = 0; i < n; i++)
                        b[3 + i] = (uint8_t)draw(256);
                n += 3;
        }
        return seal(framing, bytes, head, n);
}

/* Written a second time, and differently: is it a right answer to `q`, whatever the payload? */
static bool is_right(Framing framing, const Request *q, const uint8_t *bytes, size_t n) {
        size_t head = framing == FRAMING_TCP ? 6 : 0, tail = head ? 0 : 2, payload = 0;
        uint8_t wanted[ANSWER_MAX] = {0};

        if (n < head + 3 + tail)
                return false;
        memcpy(wanted + head, bytes + head, n - head);
        wanted[head] = q->unit;
        if (bytes[head + 1] & 0x80) {
                wanted[head + 1] = q->function | 0x80;
                payload = 3;
                if (!bytes[head + 2])
                        return false;
        } else if (q->function == MODBUS_WRITE_COIL) {
                const uint8_t echo[] = {q->unit,
                                        5,
                                        (uint8_t)(q->address >> 8),
                                        (uint8_t)q->address,
                                        (uint8_t)(q->value >> 8),
                                        (uint8_t)q->value};
                memcpy(wanted + head, echo, sizeof(echo));
                payload = sizeof(echo);
        } else {
                size_t data = q->function <= MODBUS_READ_INPUTS ? (q->value + 7u) / 8 : 2u * q->value;
                wanted[head + 1] = q->function;
                wanted[head + 2] = (uint8_t)data;
                payload = 3 + data;
        }
        return seal(framing, wanted, head, payload) == n && memcmp(wanted, bytes, n) == 0;
}

static size_t change(Framing framing, const Request *q, uint8_t bytes[ANSWER_MAX], size_t n) {
        uint8_t other[ANSWER_MAX];
        size_t k = draw((uint32_t)n), m;
        Request r;

        switch (draw(9)) {
        case 0: /* a bit */
                bytes[k] ^= (uint8_t)(1u << draw(8));
                return n;
        case 1: /* a byte */
                bytes[k] = (uint8_t)draw(256);
                return n;
        case 2: /* cut */
                return k;
        case 3: /* its beginning lost */
                memmove(bytes, bytes + k, n - k);
                return n - k;
        case 4: /* something before or behind */
                if (n + 1 > ANSWER_MAX)
                        return n;
                if (draw(2)) {
                        memmove(bytes + 1, bytes, n);
                        k = 0;
                } else {
                        k = n;
                }
                bytes[k] = (uint8_t)draw(256);
                return n + 1;
        case 5: /* twice */
                if (2 * n > ANSWER_MAX)
                        return n;
                memcpy(bytes + n, bytes, n);
                return 2 * n;
        case 6: /* the right answer to another question */
                r = question();
                return right_answer(framing, &r, bytes);
        case 7: /* …to nearly the same: another board, coil, number or value */
                r = *q;
                if (draw(2))
                        r.unit++;
                else if (draw(2))
                        r.address++;
                else
                        r.value =
                                r.function == MODBUS_WRITE_COIL ? r.value ^ 0xFF00 : (uint16_t)(r.value + 8);
                return right_answer(framing, &r, bytes);
        case 8: /* its end replaced by that of another answer */
                r = question();
                m = right_answer(framing, &r, other);
                if (k < m)
                        memcpy(bytes + k, other + k, m - k);
                return k < m ? m : n;
        }
        return n;
}

/* Requirement: F1 */
static void test_accepted_answers_are_right_ones(void **unused) {
        unsigned accepted = 0, rejected = 0;

        (void)unused;
        const char *seed = getenv("SEED"); /* to have a run once more */
        state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
        print_message("seed %llu\n", (unsigned long long)state);
        for (unsigned i = 0; i < ROUNDS; i++) {
                Framing framing = draw(4) ? FRAMING_SERIAL : FRAMING_TCP;
                uint8_t bytes[ANSWER_MAX] = {0};
                Request q = question();
                size_t n = right_answer(framing, &q, bytes);
                Answer a;

                for (uint32_t changes = draw(4); n > 0 && changes > 0; changes--)
                        n = change(framing, &q, bytes, n);
                Verdict v = modbus_driver.judge(framing, &q, bytes, n, &a);
                bool taken = v == ANSWER_GOOD || v == ANSWER_EXCEPTION,
                     right = is_right(framing, &q, bytes, n);
                if (taken != right) {
                        print_message("round %u, question %u %u %u %u, answer", i, q.unit, q.function,
                                      q.address, q.value);
                        for (size_t k = 0; k < n; k++)
                                print_message(" %02x", bytes[k]);
                        print_message("\n");
                }
                assert_int_equal(taken, right);
                accepted += taken;
                rejected += !taken;
        }
        print_message("%u accepted, %u rejected\n", accepted, rejected);
        assert_true(accepted > ROUNDS / 10 && rejected > ROUNDS / 10);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted_answers_are_right_ones),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
