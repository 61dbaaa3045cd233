/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of the short-range link: frames, requests and what schema/link says of them, answers. */
#include "base/text.h"
#include "core/refusal.h"
#include "link/answer.h"
#include "link/frames.h"
#include "link/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define SCHEMA "schema/link/request.schema.json" /* below the source directory, where the test runs */

static int read_text(const char *text, LinkRequest *ret) {
        char detail[MESSAGE_DETAIL_MAX] = "";

        return link_request_read(text, strlen(text), ret, detail);
}

/* --- frames --- */

static void test_frame_comes_in_any_pieces(void **state) {
        static const uint8_t bytes[] = {0, 0, 0, 5, '{', 'a', 'b', 'c', '}'};
        size_t n;

        for (size_t piece = 1; piece <= sizeof(bytes); piece++) {
                LinkFrame f = {0};
                int wants;
                for (size_t at = 0; (wants = link_frame_wants(&f)) > 0;) {
                        size_t k = MIN(MIN(piece, sizeof(bytes) - at), (size_t)wants);
                        assert_true(k > 0);
                        link_frame_add(&f, bytes + at, k);
                        at += k;
                }
                assert_int_equal(wants, 0);
                assert_memory_equal(link_frame_text(&f, &n), "{abc}", 5);
                assert_int_equal(n, 5);
                link_frame_empty(&f);
                assert_int_equal(link_frame_wants(&f), LOCKERD_LINK_HEADER);
        }
}

/* Requirement: F4 */
static void test_frame_of_no_length_that_there_is_refused(void **state) {
        static const struct {
                uint8_t length[LOCKERD_LINK_HEADER];
                int wants;
        } rows[] = {
                {{0, 0, 0, 0}, -EPROTO},         {{0, 0, 0, 1}, -EPROTO},  {{0, 0, 0, 2}, 2},
                {{0, 0, 32, 0}, 8192},           {{0, 0, 32, 1}, -EPROTO}, {{0x80, 0, 0, 0}, -EPROTO},
                {{255, 255, 255, 255}, -EPROTO},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                LinkFrame f = {0};
                uint8_t again[LOCKERD_LINK_HEADER];
                link_frame_add(&f, rows[i].length, LOCKERD_LINK_HEADER);
                assert_int_equal(link_frame_wants(&f), rows[i].wants);
                if (rows[i].wants > 0) {
                        link_frame_begin((size_t)rows[i].wants, again);
                        assert_memory_equal(again, rows[i].length, sizeof(again));
                }
        }
}

/* --- requests --- */

/* Requirement: B1 */
static void test_request_is_read(void **state) {
        LinkRequest r;

        assert_int_equal(
                read_text("{\"id\": 7, \"request\": \"deposit\", \"size\": \"M\", \"phone\": \"+49 171 1\", "
                          "\"larger\": false, \"accessible\": true, \"temperature\": \"chilled\"}",
                          &r),
                0);
        assert_int_equal(r.id, 7);
        assert_false(r.hello);
        assert_int_equal(r.wire.verb, LINK_DEPOSIT);
        assert_string_equal(r.wire.size, "M");
        assert_string_equal(r.wire.phone, "+49 171 1");
        assert_string_equal(r.wire.temperature, "chilled");
        assert_int_equal(r.wire.exact, 1);
        assert_int_equal(r.wire.accessible, 1);
        assert_string_equal(r.wire.code, "");
        assert_int_equal(read_text("{\"id\":0,\"request\":\"hello\",\"versions\":[3,1]}", &r), 0);
        assert_true(r.hello && r.version);
        assert_int_equal(read_text("{\"id\":0,\"request\":\"hello\",\"versions\":[2]}", &r), 0);
        assert_true(r.hello && !r.version);
}

/* Requirement: F4 */
static void test_request_that_is_none_is_refused(void **state) {
        static const struct {
                const char *text;
                int result;
        } rows[] = {
                {"", -EPROTO},
                {"{}", -EPROTO},
                {"[]", -EPROTO},
                {"{\"id\":1.0,\"request\":\"end\"}", -EPROTO},
                {"{\"id\":-1,\"request\":\"end\"}", -EPROTO},
                {"{\"id\":2147483648,\"request\":\"end\"}", -EPROTO},
                {"{\"id\":1,\"id\":1,\"request\":\"end\"}", -EPROTO},
                {"{\"id\":1,\"request\":\"end\"} ", 0},
                {"{\"id\":1,\"request\":\"end\"}x", -EPROTO},
                {"{\"id\":1}", LOCKER_E_INVALID_ARGUMENT},
                {"{\"id\":1,\"request\":\"End\"}", LOCKER_E_UNKNOWN_COMMAND},
                {"{\"id\":1,\"request\":\"end\",\"slot\":\"01\"}", LOCKER_E_INVALID_ARGUMENT},
                {"{\"id\":1,\"request\":\"deposit\"}", LOCKER_E_INVALID_ARGUMENT},
                {"{\"id\":1,\"request\":\"deposit\",\"size\":\" \"}", LOCKER_E_INVALID_ARGUMENT},
                {"{\"id\":1,\"request\":\"deposit\",\"parcel\":0}", LOCKER_E_INVALID_ARGUMENT},
                {"{\"id\":1,\"request\":\"deposit\",\"size\":\"M\",\"phone\":\"a\\u0007\"}",
                 LOCKER_E_INVALID_ARGUMENT},
                {"{\"id\":1,\"request\":\"collect\",\"phone_tail\":\"123\"}", LOCKER_E_INVALID_ARGUMENT},
                {"{\"id\":1,\"request\":\"hello\",\"versions\":[]}", LOCKER_E_INVALID_ARGUMENT},
                {"{\"id\":1,\"request\":\"hello\"}", LOCKER_E_INVALID_ARGUMENT},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                LinkRequest r;
                if (read_text(rows[i].text, &r) != rows[i].result)
                        fail_msg("%s", rows[i].text);
        }
        /* 256 characters that are 1024 bytes: fewer fit on the wire. */
        char text[1200] = "{\"id\":1,\"request\":\"deposit\",\"size\":\"M\",\"recipient\":\"";
        for (int i = 0; i < 250; i++)
                strcat(text, "柜");
        strcat(text, "\"}");
        LinkRequest r;
        assert_int_equal(read_text(text, &r), LOCKER_E_INVALID_ARGUMENT);
}

static void assert_row(const json_t *schema, const CommandRow *row) {
        const json_t *properties = json_object_get(schema, "properties");
        const char *key;
        json_t *value;

        assert_non_null(properties);
        json_object_foreach((json_t *)properties, key, value) {
                size_t i = 0;
                while (i < row->n_arguments && !streq(row->arguments[i].key, key))
                        i++;
                bool outside = streq(key, "id") || streq(key, "request") || streq(key, "versions");
                if (i == row->n_arguments && !outside)
                        fail_msg("%s: the schema's %s is not known here", row->name, key);
                if (i < row->n_arguments && row->arguments[i].type == ARGUMENT_TEXT)
                        assert_int_equal(json_integer_value(json_object_get(value, "maxLength")),
                                         row->arguments[i].max);
        }
        for (size_t i = 0; i < row->n_arguments; i++)
                if (!json_object_get(properties, row->arguments[i].key))
                        fail_msg("%s: %s is not in the schema", row->name, row->arguments[i].key);
}

/* Requirement: A5 */
static void test_schema_and_table_say_the_same(void **state) {
        json_t *schema = json_load_file(SCHEMA, 0, NULL);
        const json_t *definitions = json_object_get(schema, "$defs");
        size_t n;
        const CommandRow *rows = link_request_rows(&n);

        assert_non_null(definitions);
        assert_int_equal(json_object_size(definitions), n + 1); /* and id */
        assert_int_equal(json_array_size(json_object_get(schema, "oneOf")), n);
        for (size_t i = 0; i < n; i++) {
                const json_t *row = json_object_get(definitions, rows[i].name);
                if (!row)
                        fail_msg("%s is not in the schema", rows[i].name);
                assert_row(row, &rows[i]);
        }
        json_decref(schema);
}

/* --- answers --- */

/* Requirement: B2 */
static void test_longest_answers_fit_into_a_frame(void **state) {
        static LinkWireAnswer a;
        static LinkWirePrompt p;

        a.place = (LinkWirePlace){.parcel = INT64_MAX, .position = 255};
        memset(a.place.slot, 'x', sizeof(a.place.slot) - 1);
        memset(a.prompt, '"', sizeof(a.prompt) - 1);
        a.expires = a.deposited = INT64_MAX;
        a.bound = UINT32_MAX;
        a.has_key = a.has_places = 1;
        for (a.n_places = 0; a.n_places < LINK_PLACES_MAX; a.n_places++)
                a.places[a.n_places] =
                        (LinkWirePlace){.parcel = UINT32_MAX, .position = 255, .slot = "0123456789"};
        char *text = link_answer_text(LOCKERD_LINK_ID_MAX, &a);
        assert_non_null(text);
        assert_true(strlen(text) <= LOCKERD_LINK_FRAME_MAX);
        text_erase_free(text);
        a.refusal = LOCKER_E_NOT_FRESH;
        memset(a.sentence, '\\', sizeof(a.sentence) - 1);
        text = link_answer_text(0, &a);
        assert_non_null(text);
        assert_null(strstr(text, "key"));
        assert_true(strlen(text) <= LOCKERD_LINK_FRAME_MAX);
        text_erase_free(text);
        memset(p.sentence, '"', sizeof(p.sentence) - 1);
        text = link_prompt_text(&p);
        assert_non_null(text);
        text_erase_free(text);
}

/* --- the wire --- */

static bool is_message(LinkWireType type, const void *body, size_t n) {
        static LinkWireMessage m;

        m.header =
                (LinkWireHeader){.version = LINK_WIRE_VERSION, .type = (uint16_t)type, .n_body = (uint32_t)n};
        if (n)
                memcpy(m.text, body, n);
        return link_wire_is_message(&m, sizeof(m.header) + n);
}

/* Requirement: F17 */
static void test_wire_takes_nothing_that_is_no_message(void **state) {
        LinkWireRequest r = {.verb = LINK_COLLECT, .number = 1, .code = "AAAAAA"};
        LinkWireOpened o = {.courier = "4711"};

        assert_true(is_message(LINK_WIRE_REQUEST, &r, sizeof(r)));
        assert_false(is_message(LINK_WIRE_REQUEST, &r, sizeof(r) - 1));
        r.verb = LINK_VERBS;
        assert_false(is_message(LINK_WIRE_REQUEST, &r, sizeof(r)));
        r.verb = LINK_COLLECT;
        r.number = 0;
        assert_false(is_message(LINK_WIRE_REQUEST, &r, sizeof(r)));
        r.number = 1;
        memset(r.code, 'A', sizeof(r.code)); /* no end */
        assert_false(is_message(LINK_WIRE_REQUEST, &r, sizeof(r)));
        strcpy(r.code, "A\n");
        assert_false(is_message(LINK_WIRE_REQUEST, &r, sizeof(r)));
        strcpy(r.code, "\xff");
        assert_false(is_message(LINK_WIRE_REQUEST, &r, sizeof(r)));
        assert_true(is_message(LINK_WIRE_OPENED, &o, sizeof(o)));
        memset(o.courier, '1', sizeof(o.courier));
        assert_false(is_message(LINK_WIRE_OPENED, &o, sizeof(o)));
        assert_false(is_message(LINK_WIRE_TYPES, NULL, 0));
        assert_true(is_message(LINK_WIRE_CLOSED, NULL, 0));
        assert_false(is_message(LINK_WIRE_CLOSED, "x", 1));
        assert_false(is_message(LINK_WIRE_SETUP, "ab", 2)); /* no end */
        assert_true(is_message(LINK_WIRE_SETUP, "ab", 3));
        assert_false(is_message(LINK_WIRE_SETUP, "a\0b", 4));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frame_comes_in_any_pieces),
                cmocka_unit_test(test_frame_of_no_length_that_there_is_refused),
                cmocka_unit_test(test_request_is_read),
                cmocka_unit_test(test_request_that_is_none_is_refused),
                cmocka_unit_test(test_schema_and_table_say_the_same),
                cmocka_unit_test(test_longest_answers_fit_into_a_frame),
                cmocka_unit_test(test_wire_takes_nothing_that_is_no_message),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
