/* SPDX-License-Identifier: Apache-2.0 */
#include "message/compose.h"
#include "message/remote_command.h"
#include "signer.h"
#include "message/rfc3339.h"

#include <errno.h>
#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HEADER  "{\"alg\":\"EdDSA\",\"kid\":\"backend\"}"
#define EXPIRES "\"expires\":\"2026-11-21T08:15:30Z\""

static int read_command(const char *payload, size_t n, RemoteCommand *ret, char detail[MESSAGE_DETAIL_MAX]) {
        int r = remote_command_parse("C-1", "open", payload, n, NULL, ret, detail);

        assert_int_equal(r != 0, detail[0] != '\0');
        assert_int_equal(r == 0, ret->arguments != NULL);
        assert_string_equal(ret->name, "open");
        return r;
}

/* --- moments --- */

static void test_rfc3339_moments_are_read_strictly(void **state) {
        static const struct {
                const char *text;
                int result;
                int64_t usec;
        } rows[] = {
                {"1970-01-01T00:00:00Z", 0, 0},
                {"1970-01-01t00:00:01z", 0, 1000000},
                {"2026-11-21T08:15:30.5Z", 0, INT64_C(1795248930500000)},
                {"2026-11-21T08:15:30.1234567899Z", 0, INT64_C(1795248930123456)},
                {"2026-11-21T09:15:30+01:00", 0, INT64_C(1795248930000000)},
                {"2026-11-21T00:15:30-08:00", 0, INT64_C(1795248930000000)},
                {"2026-11-21T08:15:30-00:00", 0, INT64_C(1795248930000000)},
                {"2024-02-29T00:00:00Z", 0, INT64_C(1709164800000000)},
                {"2016-12-31T23:59:60Z", 0, INT64_C(1483228800000000)},
                {"2017-01-01T08:59:60+09:00", 0, INT64_C(1483228800000000)},
                {"9999-12-31T23:59:59.999999Z", 0, INT64_C(253402300799999999)},
                {"9999-12-31T23:59:59-00:01", -ERANGE, 0},
                {"1969-12-31T23:59:59Z", -ERANGE, 0},
                {"1970-01-01T00:00:00+00:01", -ERANGE, 0},
                {"0000-01-01T00:00:00Z", -ERANGE, 0},
                {"2026-11-21 08:15:30Z", -EINVAL, 0},
                {"2026-11-21T08:15:30", -EINVAL, 0},
                {"2026-11-21T08:15Z", -EINVAL, 0},
                {"2026-11-21", -EINVAL, 0},
                {"2026-11-21T08:15:30.Z", -EINVAL, 0},
                {"2026-11-21T08:15:30,5Z", -EINVAL, 0},
                {"2026-11-21T08:15:30Z ", -EINVAL, 0},
                {" 2026-11-21T08:15:30Z", -EINVAL, 0},
                {"2026-11-21T08:15:30+0100", -EINVAL, 0},
                {"2026-11-21T08:15:30+24:00", -EINVAL, 0},
                {"2026-11-21T08:15:30ZZ", -EINVAL, 0},
                {"2026-02-29T00:00:00Z", -EINVAL, 0},
                {"2100-02-29T00:00:00Z", -EINVAL, 0},
                {"2026-04-31T00:00:00Z", -EINVAL, 0},
                {"2026-13-01T00:00:00Z", -EINVAL, 0},
                {"2026-00-01T00:00:00Z", -EINVAL, 0},
                {"2026-01-00T00:00:00Z", -EINVAL, 0},
                {"2026-11-21T24:00:00Z", -EINVAL, 0},
                {"2026-11-21T08:60:00Z", -EINVAL, 0},
                {"2026-11-21T08:15:60Z", -EINVAL, 0},
                {"2026-11-21T08:15:61Z", -EINVAL, 0},
                {"12026-11-21T08:15:30Z", -EINVAL, 0},
                {"+2026-11-21T08:15:30Z", -EINVAL, 0},
                {"2O26-11-21T08:15:30Z", -EINVAL, 0},
                {"1795248930", -EINVAL, 0},
                {"", -EINVAL, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int64_t usec = 0;
                if (rfc3339_parse(rows[i].text, &usec) != rows[i].result || usec != rows[i].usec)
                        fail_msg("%s: %lld", rows[i].text, (long long)usec);
        }
}

static void test_rfc3339_moments_are_written_within_four_digit_years(void **state) {
        char text[RFC3339_MAX];

        rfc3339_format(INT64_C(1795248930123456), text);
        assert_string_equal(text, "2026-11-21T08:15:30.123456Z");
        rfc3339_format(-1, text);
        assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
        rfc3339_format(INT64_MAX, text);
        assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
}

/* --- commands --- */

static void test_command_plain_is_read(void **state) {
        static const char payload[] =
                " {\"id\":\"a.B-1_2\"," EXPIRES ",\"cabinet\":\"C-1\",\"name\":\"open\","
                "\"arguments\":{\"slot\":\"12\"}}\n";
        char detail[MESSAGE_DETAIL_MAX];
        _cleanup_(remote_command_done) RemoteCommand c;

        assert_int_equal(read_command(payload, strlen(payload), &c, detail), 0);
        assert_string_equal(c.id, "a.B-1_2");
        assert_int_equal(c.expires_usec, INT64_C(1795248930000000));
        assert_false(c.is_signed);
        assert_string_equal(c.key, "");
        assert_string_equal(json_string_value(json_object_get(c.arguments, "slot")), "12");
}

static void test_command_without_arguments_has_none(void **state) {
        static const char payload[] = "{\"id\":\"1\"," EXPIRES "}";
        char detail[MESSAGE_DETAIL_MAX];
        _cleanup_(remote_command_done) RemoteCommand c;

        assert_int_equal(read_command(payload, strlen(payload), &c, detail), 0);
        assert_int_equal(json_object_size(c.arguments), 0);
}

static void test_command_that_is_not_understood_is_refused_with_what_can_be_read_of_the_id(void **state) {
        static const struct {
                const char *payload, *id, *says;
        } rows[] = {
                {"", "", "cut off"},
                {"null", "", "JSON"},
                {"[]", "", "object"},
                {"17", "", "JSON"},
                {"\"x\"", "", "JSON"},
                {"{", "", "cut off"},
                {"{} {}", "", "goes on"},
                {"\xef\xbb\xbf{}", "", "JSON"},
                {"{'id':'1'}", "", "JSON"},
                {"{\"id\":\"1\",}", "", "JSON"},
                {"{\"id\":\"1\"," EXPIRES "} x", "", "goes on"},
                {"{\"id\":\"1\"," EXPIRES ",\"id\":\"2\"}", "", "twice"},
                {"{\"id\":\"1\"," EXPIRES ",\"i\\u0064\":\"2\"}", "", "twice"},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":1,\"a\":1}}", "", "twice"},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":\"\xff\"}}", "", "UTF-8"},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":\"\xc0\xaf\"}}", "", "UTF-8"},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":\"\xed\xa0\x80\"}}", "", "UTF-8"},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":\"\\ud800\"}}", "", "JSON"},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":\"\\u0000\"}}", "", "NUL"},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":123456789012345678901}}", "", "too large"},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":1e999}}", "", "too large"},
                {"{" EXPIRES "}", "", "\"id\""},
                {"{\"id\":\"\"," EXPIRES "}", "", "\"id\""},
                {"{\"id\":1," EXPIRES "}", "", "\"id\""},
                {"{\"id\":\"a b\"," EXPIRES "}", "", "\"id\""},
                {"{\"id\":\"a/b\"," EXPIRES "}", "", "\"id\""},
                {"{\"id\":\"\xc3\xa4\"," EXPIRES "}", "", "\"id\""},
                {"{\"id\":\"01234567890123456789012345678901234567890123456789012345678901234\"," EXPIRES "}",
                 "", "\"id\""},
                {"{\"id\":\"1\"}", "1", "\"expires\""},
                {"{\"id\":\"1\",\"expires\":1795248930}", "1", "\"expires\""},
                {"{\"id\":\"1\",\"expires\":\"tomorrow\"}", "1", "RFC 3339"},
                {"{\"id\":\"1\",\"expires\":\"1969-12-31T23:59:59Z\"}", "1", "1970"},
                {"{\"id\":\"1\"," EXPIRES ",\"cabinet\":\"C-2\"}", "1", "\"cabinet\""},
                {"{\"id\":\"1\"," EXPIRES ",\"cabinet\":1}", "1", "\"cabinet\""},
                {"{\"id\":\"1\"," EXPIRES ",\"name\":\"close\"}", "1", "\"name\""},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":[]}", "1", "\"arguments\""},
                {"{\"id\":\"1\"," EXPIRES ",\"arguments\":null}", "1", "\"arguments\""},
                {"{\"id\":\"1\"," EXPIRES ",\"argument\":{}}", "1", "\"argument\""},
                {"{\"id\":\"1\"," EXPIRES ",\"\\\"\xc3\xa4\":1}", "1", "\"???\""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char detail[MESSAGE_DETAIL_MAX];
                RemoteCommand c;

                int r = read_command(rows[i].payload, strlen(rows[i].payload), &c, detail);
                if (r != LOCKER_E_INVALID_ARGUMENT || !streq(c.id, rows[i].id) ||
                    !strstr(detail, rows[i].says))
                        fail_msg("%s: %d, \"%s\", %s", rows[i].payload, r, c.id, detail);
                remote_command_done(&c);
        }
}

static void test_command_with_a_nul_behind_it_is_refused(void **state) {
        static const char payload[] = "{\"id\":\"1\"," EXPIRES "}"; /* with its NUL */
        char detail[MESSAGE_DETAIL_MAX];
        RemoteCommand c;

        assert_int_equal(read_command(payload, sizeof(payload), &c, detail), LOCKER_E_INVALID_ARGUMENT);
}

static char *nested(unsigned levels) {
        char *text = text_printf("{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":%*s%*s}}", (int)levels, "",
                                 (int)levels, "");
        char *at = strchr(text, ' ');

        memset(at, '[', levels);
        memset(at + levels, ']', levels);
        return text;
}

static void test_command_nested_too_deep_or_too_long_is_refused(void **state) {
        char detail[MESSAGE_DETAIL_MAX];
        RemoteCommand c;
        _cleanup_free_ char *fits = nested(14), *deep = nested(15), *deeper = nested(20000);
        _cleanup_free_ char *brackets = text_printf("{\"id\":\"1\"," EXPIRES ",\"arguments\":{\"a\":\"%s\"}}",
                                                    "[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[");
        _cleanup_free_ char *longest = text_printf("{\"id\":\"1\"," EXPIRES "}%*s", 65536, "");

        assert_int_equal(read_command(fits, strlen(fits), &c, detail), 0);
        remote_command_done(&c);
        assert_int_equal(read_command(deep, strlen(deep), &c, detail), LOCKER_E_INVALID_ARGUMENT);
        assert_non_null(strstr(detail, "16 levels"));
        assert_int_equal(read_command(deeper, strlen(deeper), &c, detail), LOCKER_E_INVALID_ARGUMENT);
        assert_int_equal(read_command(brackets, strlen(brackets), &c, detail), 0);
        remote_command_done(&c);
        assert_int_equal(read_command(longest, 65536, &c, detail), 0);
        remote_command_done(&c);
        assert_int_equal(read_command(longest, 65537, &c, detail), LOCKER_E_INVALID_ARGUMENT);
        assert_non_null(strstr(detail, "65536"));
}

static void test_command_on_a_strange_topic_is_unknown(void **state) {
        static const char *const names[] = {"", "Open", "open/door", "open ",
                                            "a2345678901234567890123456789012x"};
        char detail[MESSAGE_DETAIL_MAX];
        RemoteCommand c;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_int_equal(remote_command_parse("C-1", names[i], "{}", 2, NULL, &c, detail),
                                 LOCKER_E_UNKNOWN_COMMAND);
}

/* Requirement: F5 */
static void test_command_signed_counts_only_for_this_cabinet_and_name(void **state) {
        static const struct {
                const char *payload, *id;
                int result;
        } rows[] = {
                {"{\"cabinet\":\"C-1\",\"name\":\"open\",\"id\":\"1\"," EXPIRES "}", "1", 0},
                {"{\"cabinet\":\"C-2\",\"name\":\"open\",\"id\":\"1\"," EXPIRES "}", "1",
                 LOCKER_E_BAD_SIGNATURE},
                {"{\"cabinet\":\"c-1\",\"name\":\"open\",\"id\":\"1\"," EXPIRES "}", "1",
                 LOCKER_E_BAD_SIGNATURE},
                {"{\"cabinet\":\"C-1\",\"name\":\"collect\",\"id\":\"1\"," EXPIRES "}", "1",
                 LOCKER_E_BAD_SIGNATURE},
                {"{\"name\":\"open\",\"id\":\"1\"," EXPIRES "}", "1", LOCKER_E_BAD_SIGNATURE},
                {"{\"cabinet\":\"C-1\",\"id\":\"1\"," EXPIRES "}", "1", LOCKER_E_BAD_SIGNATURE},
                {"{\"cabinet\":\"C-1\",\"name\":\"open\"," EXPIRES "}", "", LOCKER_E_INVALID_ARGUMENT},
                {"{\"cabinet\":\"C-1\",\"name\":\"open\",\"id\":\"1\"}", "1", LOCKER_E_INVALID_ARGUMENT},
                {"{\"cabinet\":\"C-1\",\"name\":\"open\",\"id\":\"1\"," EXPIRES ",\"x\":1}", "1",
                 LOCKER_E_INVALID_ARGUMENT},
                {"not JSON", "", LOCKER_E_INVALID_ARGUMENT},
                {"", "", LOCKER_E_INVALID_ARGUMENT},
        };
        _cleanup_(signer_done) Signer signer = signer_new(RFC8037_SECRET);
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        char detail[MESSAGE_DETAIL_MAX];

        assert_int_equal(key_ring_new(&ring), 0);
        assert_int_equal(key_ring_add(ring, "backend", signer.pem, strlen(signer.pem), detail), 0);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = signer_jws(&signer, HEADER, rows[i].payload);
                _cleanup_(remote_command_done) RemoteCommand c;

                int r = remote_command_parse("C-1", "open", text, strlen(text), ring, &c, detail);
                if (r != rows[i].result || !streq(c.id, rows[i].id))
                        fail_msg("%s: %d, \"%s\", %s", rows[i].payload, r, c.id, detail);
                assert_int_equal(c.is_signed, r == 0);
                assert_string_equal(c.key, r == 0 ? "backend" : "");
        }
}

/* Requirement: F5 */
static void test_command_signed_and_tampered_in_every_byte_is_never_taken(void **state) {
        _cleanup_(signer_done) Signer signer = signer_new(RFC8037_SECRET);
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        _cleanup_free_ char *text = signer_jws(
                &signer, HEADER, "{\"cabinet\":\"C-1\",\"name\":\"open\",\"id\":\"1\"," EXPIRES "}");
        char detail[MESSAGE_DETAIL_MAX];
        size_t n = strlen(text);
        RemoteCommand c;

        assert_int_equal(key_ring_new(&ring), 0);
        assert_int_equal(key_ring_add(ring, "backend", signer.pem, strlen(signer.pem), detail), 0);
        for (size_t i = 0; i < n; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        text[i] ^= (char)(1 << bit);
                        int r = remote_command_parse("C-1", "open", text, n, ring, &c, detail);
                        assert_true(r == LOCKER_E_BAD_SIGNATURE || r == LOCKER_E_INVALID_ARGUMENT);
                        assert_null(c.arguments);
                        text[i] ^= (char)(1 << bit);
                }
        /* Names the command that was tampered with, where it still can be read. */
        text[n - 5] ^= 1;
        assert_int_equal(remote_command_parse("C-1", "open", text, n, ring, &c, detail),
                         LOCKER_E_BAD_SIGNATURE);
        assert_string_equal(c.id, "1");
}

/* --- what the cabinet says --- */

static void test_event_is_a_cloudevent(void **state) {
        EventMessage e = {.sequence = 17,
                          .wall_usec = INT64_C(1795248930123456),
                          .type = "parcel.stored",
                          .subject = "parcel:5",
                          .data = "{\"parcel\":5}",
                          .synced = true};
        _cleanup_free_ char *text = NULL, *secret = NULL;

        assert_int_equal(compose_event("C-1", &e, &text), 0);
        assert_string_equal(
                text, "{\"specversion\":\"1.0\",\"id\":\"C-1/17\",\"source\":\"/lockerd/C-1\","
                      "\"type\":\"org.lockerd.parcel.stored\",\"subject\":\"parcel:5\","
                      "\"time\":\"2026-11-21T08:15:30.123456Z\",\"datacontenttype\":\"application/json\","
                      "\"sequence\":\"00000000000000000017\",\"clocksynced\":true,\"offline\":false,"
                      "\"data\":{\"parcel\":5}}");
        /* In the long way, too: a blank in the data. */
        _cleanup_free_ char *first = NULL, *second = NULL;
        e.epoch = "0123456789abcdef";
        assert_int_equal(compose_event("C-1", &e, &first), 0);
        e.data = "{ \"parcel\":5}";
        assert_int_equal(compose_event("C-1", &e, &second), 0);
        assert_string_equal(first, second);
        assert_non_null(strstr(first, "\"id\":\"C-1/0123456789abcdef/17\","));
        assert_non_null(
                strstr(first, "\"sequence\":\"00000000000000000017\",\"epoch\":\"0123456789abcdef\","));
        e.epoch = NULL;
        e.data = "{\"parcel\":5}";
        e.offline = true;
        e.secret = "{\"code\":\"AB12CD\"}";
        assert_int_equal(compose_event("C-1", &e, &secret), 0);
        assert_non_null(
                strstr(secret, "\"offline\":true,\"data\":{\"parcel\":5,\"secret\":{\"code\":\"AB12CD\"}}"));
}

static void test_event_of_broken_data_is_an_error_not_a_message(void **state) {
        static const char *const broken[] = {"", "[]", "{", "17", "{\"a\":1,\"a\":2}"};
        char *text = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
                EventMessage e = {.sequence = 1, .type = "t", .subject = "s", .data = broken[i]};
                assert_int_equal(compose_event("C-1", &e, &text), -EUCLEAN);
                e.data = "{}";
                e.secret = broken[i];
                assert_int_equal(compose_event("C-1", &e, &text), -EUCLEAN);
        }
        assert_null(text);
}

/* Plain data takes a short way; a blank in it makes it take the long one. */
static void test_event_is_the_same_by_either_way(void **state) {
        static const struct {
                const char *data, *blank, *secret, *secret_blank;
        } rows[] = {
                {"{}", "{ }", NULL, NULL},
                {"{}", "{ }", "{\"code\":\"012345\"}", "{ \"code\":\"012345\"}"},
                {"{\"slot\":\"07\",\"position\":0}", "{\"slot\":\"07\", \"position\":0}", NULL, NULL},
                {"{\"a\":-5,\"b\":true,\"c\":false,\"d\":null,\"e\":\"\",\"f\":999999999999999999}",
                 "{\"a\":-5,\"b\":true,\"c\":false,\"d\":null,\"e\":\"\",\"f\":999999999999999999 }",
                 "{\"code\":\"AB12CD\",\"courier\":\"4711\"}", "{\"code\":\"AB12CD\",\"courier\":\"4711\" }"},
                {"{\"slot\":\"a/b ~!\"}", "{\"slot\":\"a\\/b ~!\"}", NULL, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (int offline = 0; offline < 2; offline++) {
                        EventMessage e = {.sequence = i ? UINT64_MAX >> i : 1,
                                          .wall_usec = INT64_C(1795248930000006) - (int64_t)i,
                                          .type = "parcel.stored",
                                          .subject = "parcel:5",
                                          .data = rows[i].data,
                                          .secret = rows[i].secret,
                                          .synced = offline,
                                          .offline = offline};
                        _cleanup_free_ char *text = NULL, *other = NULL;

                        assert_int_equal(compose_event("C-1", &e, &text), 0);
                        e.data = rows[i].blank;
                        e.secret = rows[i].secret_blank;
                        assert_int_equal(compose_event("C-1", &e, &other), 0);
                        assert_string_equal(text, other);
                }
}

/* What only looks plain is left to the JSON library, which says the same as ever. */
static void test_event_of_odd_data_goes_the_long_way(void **state) {
        static const struct {
                const char *subject, *data, *part; /* NULL: refused */
        } rows[] = {
                {"slot:\"1\"", "{}", "\"subject\":\"slot:\\\"1\\\"\""},
                {"slot:\xe5\xbc\xa0", "{}", "\"subject\":\"slot:\xe5\xbc\xa0\""},
                {"s", "{\"a\":\"\xe5\xbc\xa0\"}", "\"data\":{\"a\":\"\xe5\xbc\xa0\"}"},
                {"s", "{\"a\":[1,{\"b\":2}]}", "\"data\":{\"a\":[1,{\"b\":2}]}"},
                {"s", "{\"a\":1.50}", "\"data\":{\"a\":1.5}"},
                {"s", "{\"a\":1e2}", "\"data\":{\"a\":100.0}"},
                {"s", "{\"a\":9223372036854775807}", "\"data\":{\"a\":9223372036854775807}"},
                {"s", "{\"a\":9223372036854775808}", NULL},
                {"s", "{\"a\":01}", NULL},
                {"s", "{\"a\":-}", NULL},
                {"s", "{\"a\":tru}", NULL},
                {"s", "{\"a\":1,}", NULL},
                {"s", "{,}", NULL},
                {"s", "{\"a\"}", NULL},
                {"s", "{\"a\":1}x", NULL},
                {"s", "{\"a\":\"\x01\"}", NULL},
                {"s", "{\"a\":\"\xff\"}", NULL},
                {"s", "{\"a\":1,\"b\":2,\"a\":3}", NULL},
                {"s", "{\"a\":\"", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                EventMessage e = {
                        .sequence = 1, .type = "t", .subject = rows[i].subject, .data = rows[i].data};
                _cleanup_free_ char *text = NULL;
                int r = compose_event("C-1", &e, &text);

                assert_int_equal(r, rows[i].part ? 0 : -EUCLEAN);
                if (rows[i].part)
                        assert_non_null(strstr(text, rows[i].part));
        }
}

static void test_answer_says_done_refused_or_failed(void **state) {
        static const struct {
                Refusal refusal;
                const char *detail, *text;
        } rows[] = {
                {REFUSAL_NONE, NULL,
                 "{\"id\":\"1\",\"name\":\"open\",\"epoch\":\"0123456789abcdef\",\"status\":\"done\"}"},
                {LOCKER_E_EXPIRED, "",
                 "{\"id\":\"1\",\"name\":\"open\",\"epoch\":\"0123456789abcdef\",\"status\":\"refused\","
                 "\"error\":\"Expired\",\"message\":"
                 "\"The command came too late "
                 "and was not executed.\"}"},
                {LOCKER_E_UNKNOWN_SLOT, "No slot \xe5\xbc\xa0.",
                 "{\"id\":\"1\",\"name\":\"open\",\"epoch\":\"0123456789abcdef\",\"status\":\"refused\","
                 "\"error\":\"UnknownSlot\","
                 "\"message\":\"No slot \xe5\xbc\xa0.\"}"},
                /* cut by snprintf in the middle of a character */
                {LOCKER_E_DID_NOT_OPEN, "Slot \xe5\xbc",
                 "{\"id\":\"1\",\"name\":\"open\",\"epoch\":\"0123456789abcdef\",\"status\":\"failed\","
                 "\"error\":\"DidNotOpen\",\"message\":"
                 "\"Slot \"}"},
                {LOCKER_E_OUTCOME_UNKNOWN, "\xff?\xff",
                 "{\"id\":\"1\",\"name\":\"open\",\"epoch\":\"0123456789abcdef\",\"status\":\"failed\","
                 "\"error\":\"OutcomeUnknown\","
                 "\"message\":\"???\"}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = NULL;
                assert_int_equal(compose_answer("0123456789abcdef", "1", "open", rows[i].refusal,
                                                rows[i].detail, NULL, &text),
                                 0);
                assert_string_equal(text, rows[i].text);
        }
        _cleanup_free_ char *text = NULL;
        assert_int_equal(compose_answer("0123456789abcdef", "1", "announce", REFUSAL_NONE, NULL,
                                        json_pack("{s:i}", "parcel", 5), &text),
                         0);
        assert_string_equal(text, "{\"id\":\"1\",\"name\":\"announce\",\"epoch\":\"0123456789abcdef\","
                                  "\"status\":\"done\",\"result\":{\"parcel\":5}}");
}

static void test_state_tells_what_is_known_and_leaves_out_what_is_not(void **state) {
        const StateSize sizes[] = {{"S", "Small", 1, 8, 3}, {"L", "", 2, 4, 0}};
        const StateHealth health[] = {{"ledger", "ok", ""}, {"board:A", "failed", "No answer."}};
        StateMessage s = {.cabinet = "C-1",
                          .name = "Station",
                          .address = "1 Road",
                          .timezone = "Europe/Berlin",
                          .latitude = 52.5,
                          .longitude = 13.25,
                          .online = true,
                          .sizes = sizes,
                          .n_sizes = ARRAY_SIZE(sizes),
                          .health = health,
                          .n_health = ARRAY_SIZE(health),
                          .version = "0.1.0",
                          .ledger_schema = 1,
                          .epoch = "0123456789abcdef",
                          .audit_head = "17:00",
                          .last_event = 17,
                          .outbox = 2,
                          .clock_synced = true,
                          .clock_vouched = true,
                          .nonce = "00ff",
                          .started_usec = 0,
                          .now_usec = INT64_C(1795248930123456)};
        _cleanup_free_ char *text = NULL, *bare = NULL, *will = NULL;

        assert_int_equal(compose_state(&s, &text), 0);
        assert_string_equal(
                text,
                "{\"cabinet\":\"C-1\",\"presence\":\"online\",\"time\":\"2026-11-21T08:15:30.123456Z\","
                "\"started\":\"1970-01-01T00:00:00.000000Z\",\"clocksynced\":true,"
                "\"clockvouched\":true,\"nonce\":\"00ff\",\"name\":\"Station\","
                "\"place\":{\"address\":\"1 "
                "Road\",\"timezone\":\"Europe/Berlin\",\"latitude\":52.5,\"longitude\":13.25},"
                "\"sizes\":[{\"name\":\"S\",\"label\":\"Small\",\"ordinal\":1,\"capacity\":8,\"free\":3},"
                "{\"name\":\"L\",\"ordinal\":2,\"capacity\":4,\"free\":0}],"
                "\"health\":[{\"component\":\"ledger\",\"state\":\"ok\"},"
                "{\"component\":\"board:A\",\"state\":\"failed\",\"sentence\":\"No answer.\"}],"
                "\"versions\":{\"lockerd\":\"0.1.0\",\"ledger\":1},\"epoch\":\"0123456789abcdef\","
                "\"audithead\":\"17:00\",\"lastevent\":17,"
                "\"outbox\":2}");
        s.address = s.timezone = NULL;
        s.latitude = (double)NAN;
        s.online = false;
        assert_int_equal(compose_state(&s, &bare), 0);
        assert_non_null(strstr(bare, "\"presence\":\"offline\""));
        assert_non_null(strstr(bare, "\"place\":{}"));
        assert_int_equal(compose_will("C-1", &will), 0);
        assert_string_equal(will, "{\"cabinet\":\"C-1\",\"presence\":\"offline\"}");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rfc3339_moments_are_read_strictly),
                cmocka_unit_test(test_rfc3339_moments_are_written_within_four_digit_years),
                cmocka_unit_test(test_command_plain_is_read),
                cmocka_unit_test(test_command_without_arguments_has_none),
                cmocka_unit_test(
                        test_command_that_is_not_understood_is_refused_with_what_can_be_read_of_the_id),
                cmocka_unit_test(test_command_with_a_nul_behind_it_is_refused),
                cmocka_unit_test(test_command_nested_too_deep_or_too_long_is_refused),
                cmocka_unit_test(test_command_on_a_strange_topic_is_unknown),
                cmocka_unit_test(test_command_signed_counts_only_for_this_cabinet_and_name),
                cmocka_unit_test(test_command_signed_and_tampered_in_every_byte_is_never_taken),
                cmocka_unit_test(test_event_is_a_cloudevent),
                cmocka_unit_test(test_event_of_broken_data_is_an_error_not_a_message),
                cmocka_unit_test(test_event_is_the_same_by_either_way),
                cmocka_unit_test(test_event_of_odd_data_goes_the_long_way),
                cmocka_unit_test(test_answer_says_done_refused_or_failed),
                cmocka_unit_test(test_state_tells_what_is_known_and_leaves_out_what_is_not),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
