/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of fingerprint modules against bytes from their data sheets, in pieces and with noise around them;
 * templates and what is none. */
#include "fingerprint/packet.h"
#include "fingerprint/template.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* As printed in data sheets: the command that captures an image, and the one that verifies password 0. */
static const uint8_t capture[] = {0xEF, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00, 0x03, 0x01, 0x00, 0x05};
static const uint8_t password[] = {0xEF, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00,
                                   0x07, 0x13, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1B};
static const uint8_t answer[] = {0xEF, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0x00, 0x03, 0x02, 0x00, 0x0C};

static PacketState feed(PacketReader *r, const uint8_t *bytes, size_t n, Packet *ret) {
        PacketState state = PACKET_INCOMPLETE;

        for (size_t i = 0; i < n; i++) {
                assert_int_equal(state, PACKET_INCOMPLETE);
                state = packet_feed(r, bytes[i], ret);
        }
        return state;
}

static void test_commands_have_the_bytes_of_the_data_sheet(void **state) {
        uint8_t bytes[PACKET_MAX];
        Packet p = {.address = PACKET_ANYBODY, .kind = PACKET_COMMAND, .n = 1, .payload = {0x01}};

        assert_int_equal(packet_build(&p, bytes), sizeof(capture));
        assert_memory_equal(bytes, capture, sizeof(capture));
        p = (Packet){.address = PACKET_ANYBODY, .kind = PACKET_COMMAND, .n = 5, .payload = {0x13}};
        assert_int_equal(packet_build(&p, bytes), sizeof(password));
        assert_memory_equal(bytes, password, sizeof(password));
}

static void test_every_length_arrives_as_it_was_sent(void **state) {
        uint8_t bytes[PACKET_MAX];
        PacketReader r = {0};

        for (size_t n = 0; n <= PACKET_PAYLOAD_MAX; n++) {
                Packet p = {.address = 0x12345678, .kind = PACKET_LAST_DATA, .n = n}, got = {0};
                for (size_t i = 0; i < n; i++)
                        p.payload[i] = (uint8_t)(i * 7 + n);
                assert_int_equal(feed(&r, bytes, packet_build(&p, bytes), &got), PACKET_COMPLETE);
                assert_memory_equal(&got, &p, sizeof(p));
        }
        assert_int_equal(r.skipped, 0);
}

static void test_noise_before_a_frame_is_counted_and_skipped(void **state) {
        static const uint8_t noise[] = {0x00, 0xEF, 0xEF, 0x55, 0x01, 0xEF};
        PacketReader r = {0};
        Packet p;

        assert_int_equal(feed(&r, noise, sizeof(noise), &p), PACKET_INCOMPLETE);
        assert_int_equal(feed(&r, answer, sizeof(answer), &p), PACKET_COMPLETE);
        assert_int_equal(r.skipped, sizeof(noise));
        assert_int_equal(p.kind, PACKET_ACKNOWLEDGE);
        assert_int_equal(p.payload[0], 2);
}

static void test_a_damaged_byte_is_noticed(void **state) {
        for (size_t i = 6; i < sizeof(answer); i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        uint8_t bytes[sizeof(answer)];
                        PacketReader r = {0};
                        PacketState last = PACKET_INCOMPLETE;
                        Packet p;

                        memcpy(bytes, answer, sizeof(bytes));
                        bytes[i] ^= (uint8_t)(1U << bit);
                        for (size_t k = 0; k < sizeof(bytes) && last == PACKET_INCOMPLETE; k++)
                                last = packet_feed(&r, bytes[k], &p);
                        /* A length that has grown waits for more. */
                        assert_true(last == PACKET_CORRUPT ||
                                    (last == PACKET_INCOMPLETE && (i == 7 || i == 8)));
                }
}

static void test_impossible_lengths_and_kinds_end_the_frame_at_once(void **state) {
        static const uint8_t wrong[][9] = {
                {0xEF, 1, 255, 255, 255, 255, 7, 0x00, 0x01},
                {0xEF, 1, 255, 255, 255, 255, 7, 0x01, 0x03},
                {0xEF, 1, 255, 255, 255, 255, 7, 0xFF, 0xFF},
                {0xEF, 1, 255, 255, 255, 255, 3, 0x00, 0x03},
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                PacketReader r = {0};
                Packet p;
                assert_int_equal(feed(&r, wrong[i], sizeof(wrong[i]), &p), PACKET_CORRUPT);
                assert_int_equal(feed(&r, answer, sizeof(answer), &p), PACKET_COMPLETE);
        }
}

static void test_a_template_says_whose_it_is(void **state) {
        uint8_t code[TEMPLATE_CODE_MAX], bytes[TEMPLATE_MAX];
        static const size_t sizes[] = {TEMPLATE_CODE_MIN, 512, 768, 1536, TEMPLATE_CODE_MAX};
        Template t;

        memset(code, 0xA5, sizeof(code));
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                size_t n =
                        template_write(&(Template){.system_id = 0x0309, .code = code, .n = sizes[i]}, bytes);
                assert_int_equal(template_read(bytes, n, &t), 0);
                assert_int_equal(t.system_id, 0x0309);
                assert_int_equal(t.n, sizes[i]);
                assert_memory_equal(t.code, code, t.n);
                assert_int_equal(template_read(bytes, n - 1, &t), -EINVAL);
                assert_int_equal(template_read(bytes, 7, &t), -EINVAL);
                bytes[3] = 2; /* another kind of reader */
                assert_int_equal(template_read(bytes, n, &t), -EXDEV);
                bytes[3] = 1;
                bytes[2] = 2; /* another version */
                assert_int_equal(template_read(bytes, n, &t), -EINVAL);
        }
        size_t n = template_write(&(Template){.code = code, .n = TEMPLATE_CODE_MIN - 1}, bytes);
        assert_int_equal(template_read(bytes, n, &t), -EINVAL);
        assert_int_equal(template_read(bytes, 0, &t), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commands_have_the_bytes_of_the_data_sheet),
                cmocka_unit_test(test_every_length_arrives_as_it_was_sent),
                cmocka_unit_test(test_noise_before_a_frame_is_counted_and_skipped),
                cmocka_unit_test(test_a_damaged_byte_is_noticed),
                cmocka_unit_test(test_impossible_lengths_and_kinds_end_the_frame_at_once),
                cmocka_unit_test(test_a_template_says_whose_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
