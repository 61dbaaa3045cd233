/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between daemon and matchers: what is said arrives, everything that is a little wrong is refused,
 * and so is what the other side would have to say. */
#include "identity/matcher_wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

static uint8_t packet[MATCHER_WIRE_MAX + 1];

typedef struct Sample {
        MatcherType type;
        bool from_daemon;
        size_t size, n_data;
        MatcherBody body;
} Sample;

#define ATTEMPT .header.attempt = 7

static const Sample samples[] = {
        {MATCHER_SETUP,
         true,
         sizeof(MatcherSetup),
         0,
         {.setup = {.baud = 57600, .kind = "fingerprint", .name = "front", .device = "/dev/ttyUSB1"}}},
        {MATCHER_SETUP,
         true,
         sizeof(MatcherSetup),
         900,
         {.setup = {.kind = "face", .device = "/dev/video0"}}},
        {MATCHER_DEVICE, true, sizeof(MatcherPlain), 0, {}},
        {MATCHER_ENROL, true, sizeof(MatcherTask), 0, {.task = {ATTEMPT, .timeout_ms = 20000}}},
        {MATCHER_CANDIDATE, true, sizeof(MatcherCandidate), 512, {.candidate = {ATTEMPT, .number = 1}}},
        {MATCHER_VERIFY,
         true,
         sizeof(MatcherTask),
         0,
         {.task = {ATTEMPT, .n_candidates = 1, .timeout_ms = 1}}},
        {MATCHER_WATCH,
         true,
         sizeof(MatcherTask),
         0,
         {.task = {ATTEMPT, .n_candidates = 64, .timeout_ms = 1}}},
        {MATCHER_CANCEL, true, sizeof(MatcherPlain), 0, {.plain = {ATTEMPT}}},
        {MATCHER_PING, true, sizeof(MatcherPlain), 0, {.plain.number = 3}},
        {MATCHER_HELLO,
         false,
         sizeof(MatcherHello),
         0,
         {.hello = {.kind = "fingerprint", .abilities = MATCHER_ENROLS | MATCHER_VERIFIES}}},
        {MATCHER_HEALTH, false, sizeof(MatcherHealth), 0, {.health = {.detail = "a reader"}}},
        {MATCHER_PROGRESS,
         false,
         sizeof(MatcherProgress),
         0,
         {.progress = {ATTEMPT, .prompt = MATCHER_PROMPT_LIFT}}},
        {MATCHER_RESULT,
         false,
         sizeof(MatcherResult),
         0,
         {.result = {ATTEMPT, .outcome = MATCHER_MATCH, .candidate = 1, .score = 91, .quality = 100}}},
        {MATCHER_RESULT,
         false,
         sizeof(MatcherResult),
         MATCHER_TEMPLATE_MAX,
         {.result = {ATTEMPT, .outcome = MATCHER_ENROLLED}}},
        {MATCHER_RESULT,
         false,
         sizeof(MatcherResult),
         0,
         {.result = {ATTEMPT, .outcome = MATCHER_FAILED, .problem = MATCHER_PROBLEM_SILENT}}},
        {MATCHER_PONG, false, sizeof(MatcherPlain), 0, {.plain.number = 3}},
};

/* As matcher_wire_send() does. */
static size_t pack(const Sample *s, MatcherBody b) {
        b.header.version = MATCHER_WIRE_VERSION;
        b.header.type = (uint16_t)s->type;
        b.header.n_data = (uint32_t)s->n_data;
        memcpy(packet, &b, s->size);
        for (size_t i = 0; i < s->n_data; i++)
                packet[s->size + i] = (uint8_t)i;
        return s->size + s->n_data;
}

static void expect_refused(const Sample *s, MatcherBody b) {
        MatcherMessage m = {0};

        assert_int_equal(matcher_wire_check(packet, pack(s, b), s->from_daemon, &m), -EPROTO);
        assert_null(m.data);
        assert_int_equal(m.body.header.type, 0);
}

static void test_every_message_arrives_as_it_was_sent(void **state) {
        static uint8_t buffer[MATCHER_WIRE_MAX], template[MATCHER_TEMPLATE_MAX];
        int pair[2];

        for (size_t i = 0; i < sizeof(template); i++)
                template[i] = (uint8_t)i;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                const Sample *s = &samples[i];
                MatcherBody b = s->body;
                MatcherMessage m;
                int passed = -2;

                assert_int_equal(matcher_wire_send(pair[0], s->type, &b, template, s->n_data,
                                                   s->type == MATCHER_DEVICE ? pair[0] : -1),
                                 0);
                assert_int_equal(matcher_wire_receive(pair[1], s->from_daemon, buffer, &m, &passed), 1);
                assert_memory_equal(&m.body, &b, s->size);
                assert_true(s->n_data ? memcmp(m.data, template, s->n_data) == 0 : !m.data);
                assert_int_equal(passed >= 0, s->type == MATCHER_DEVICE);
                if (passed >= 0)
                        close(passed);
        }
        MatcherMessage none;
        assert_int_equal(matcher_wire_receive(pair[1], false, buffer, &none, NULL), 0);
        close(pair[0]);
        assert_int_equal(matcher_wire_receive(pair[1], false, buffer, &none, NULL), -EPIPE);
        close(pair[1]);
}

static void test_a_message_of_the_other_side_is_refused(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                MatcherMessage m;
                size_t n = pack(&samples[i], samples[i].body);

                assert_int_equal(matcher_wire_check(packet, n, samples[i].from_daemon, &m), 0);
                assert_int_equal(matcher_wire_check(packet, n, !samples[i].from_daemon, &m), -EPROTO);
        }
}

static void test_a_wrong_length_version_or_type_is_refused(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                const Sample *s = &samples[i];
                MatcherMessage m;
                MatcherHeader h;
                size_t n = pack(s, s->body);

                for (size_t shorter = 0; shorter < n; shorter += 1 + shorter / 16)
                        assert_int_equal(matcher_wire_check(packet, shorter, s->from_daemon, &m), -EPROTO);
                assert_int_equal(matcher_wire_check(packet, n + 1, s->from_daemon, &m), -EPROTO);
                memcpy(&h, packet, sizeof(h));
                const MatcherHeader wrong[] = {
                        {h.version + 1, h.type, h.n_data, h.attempt},
                        {0, h.type, h.n_data, h.attempt},
                        {h.version, 0, h.n_data, h.attempt},
                        {h.version, MATCHER_TYPE_MAX, h.n_data, h.attempt},
                        {h.version, 0xffff, h.n_data, h.attempt},
                        {h.version, h.type, h.n_data + 1, h.attempt},
                        {h.version, h.type, 0xffffffff, h.attempt},
                        {h.version, h.type, h.n_data, h.attempt ? 0 : 7},
                };
                for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
                        memcpy(packet, &wrong[k], sizeof(h));
                        assert_int_equal(matcher_wire_check(packet, n, s->from_daemon, &m), -EPROTO);
                }
        }
}

static const Sample *sample(MatcherType type) {
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
                if (samples[i].type == type)
                        return &samples[i];
        fail();
        return NULL;
}

static void test_values_outside_their_ranges_are_refused(void **state) {
        const Sample *result = sample(MATCHER_RESULT);
        const MatcherResult wrong[] = {
                {ATTEMPT, .outcome = MATCHER_OUTCOME_MAX},
                {ATTEMPT, .outcome = MATCHER_MATCH, .candidate = 0},
                {ATTEMPT, .outcome = MATCHER_MATCH, .candidate = MATCHER_CANDIDATES_MAX + 1},
                {ATTEMPT, .outcome = MATCHER_MATCH, .candidate = 1, .quality = 101},
                {ATTEMPT, .outcome = MATCHER_MATCH, .candidate = 1, .problem = MATCHER_PROBLEM_SILENT},
                {ATTEMPT, .outcome = MATCHER_NO_MATCH, .candidate = 1},
                {ATTEMPT, .outcome = MATCHER_FAILED},
                {ATTEMPT, .outcome = MATCHER_FAILED, .problem = MATCHER_PROBLEM_MAX},
                {ATTEMPT, .outcome = MATCHER_ENROLLED}, /* nothing comes with it */
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                expect_refused(result, (MatcherBody){.result = wrong[i]});
        Sample with_data = *result;
        with_data.n_data = 1; /* a match brings no template */
        expect_refused(&with_data, result->body);

        expect_refused(sample(MATCHER_PROGRESS),
                       (MatcherBody){.progress = {ATTEMPT, .prompt = MATCHER_PROMPT_MAX}});
        expect_refused(sample(MATCHER_PROGRESS), (MatcherBody){.progress = {ATTEMPT, .taken = 3, .of = 2}});
        expect_refused(sample(MATCHER_HEALTH), (MatcherBody){.health.problem = MATCHER_PROBLEM_MAX});
        expect_refused(sample(MATCHER_HEALTH), (MatcherBody){.health.detail = "two\nlines"});
        MatcherBody endless = {0};
        memset(endless.health.detail, 'x', sizeof(endless.health.detail));
        expect_refused(sample(MATCHER_HEALTH), endless);
        expect_refused(sample(MATCHER_HELLO), (MatcherBody){.hello.abilities = MATCHER_ENROLS});
        expect_refused(sample(MATCHER_HELLO), (MatcherBody){.hello = {.kind = "x", .abilities = 8}});
        expect_refused(sample(MATCHER_ENROL),
                       (MatcherBody){.task = {ATTEMPT, .n_candidates = 1, .timeout_ms = 1}});
        expect_refused(sample(MATCHER_VERIFY),
                       (MatcherBody){.task = {ATTEMPT, .n_candidates = 5, .timeout_ms = 1}});
        expect_refused(sample(MATCHER_VERIFY), (MatcherBody){.task = {ATTEMPT}});
        expect_refused(sample(MATCHER_VERIFY),
                       (MatcherBody){.task = {ATTEMPT, .timeout_ms = MATCHER_TIMEOUT_MAX_MS + 1}});
        expect_refused(sample(MATCHER_CANDIDATE), (MatcherBody){.candidate = {ATTEMPT}});
        /* A serial reader has a device; one at USB may be the only one. */
        expect_refused(sample(MATCHER_SETUP), (MatcherBody){.setup = {.baud = 57600, .kind = "fingerprint"}});
        Sample no_template = *sample(MATCHER_CANDIDATE);
        no_template.n_data = 0;
        expect_refused(&no_template, no_template.body);
}

static void test_a_template_that_is_too_large_is_not_sent(void **state) {
        MatcherCandidate c = {ATTEMPT, .number = 1};

        assert_int_equal(matcher_wire_send(-1, MATCHER_CANDIDATE, &c, packet, MATCHER_TEMPLATE_MAX + 1, -1),
                         -EMSGSIZE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_message_arrives_as_it_was_sent),
                cmocka_unit_test(test_a_message_of_the_other_side_is_refused),
                cmocka_unit_test(test_a_wrong_length_version_or_type_is_refused),
                cmocka_unit_test(test_values_outside_their_ranges_are_refused),
                cmocka_unit_test(test_a_template_that_is_too_large_is_not_sent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
