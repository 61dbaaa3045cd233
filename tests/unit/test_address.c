/* SPDX-License-Identifier: Apache-2.0 */
/* Which address comes next, and when all have been tried in vain: the worker's own choice, with records that
 * the test makes up. */
#include "mqtt/worker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static SrvList records;
static int records_result;
static unsigned asked;

int srv_ask(const char *name, SrvList *ret) {
        assert_string_equal(name, "_secure-mqtt._tcp.example.org");
        asked++;
        if (!records_result)
                *ret = records;
        return records_result;
}

void srv_order(SrvList *l, uint64_t (*random_below)(uint64_t n)) {
        assert_ptr_equal(random_below, backoff_random);
}

uint64_t worker_now(void) {
        return 1;
}

static void records_are(unsigned n) {
        records_result = 0;
        records = (SrvList){.n = n};
        for (unsigned i = 0; i < n; i++) {
                snprintf(records.all[i].host, sizeof(records.all[i].host), "node%u.example.net", i + 1);
                records.all[i].port = (uint16_t)(9001 + i);
        }
}

/* An attempt → what was tried. */
static const char *attempt(MqttWorker *w, int expected) {
        static char text[ADDRESS_TEXT_MAX];
        char address[ADDRESS_MAX];

        address_choose(w);
        assert_int_equal(address_resolve(w, address), expected);
        return address_text(w, text);
}

static void test_address_list_is_tried_in_turn(void **state) {
        MqttSetup s = {.host = " a  b\tc ", .port = 8883};
        MqttWorker w = {.setup = &s};

        for (unsigned i = 0; i < 7; i++) {
                static const char *const expected[] = {"a:8883", "b:8883", "c:8883"};
                w.addresses.turn = 0; /* no addresses of names */
                assert_string_equal(attempt(&w, 0), expected[i % 3]);
                assert_int_equal(w.addresses.rounds, i / 3);
                address_next(&w, false);
        }
}

static void test_address_round_begins_where_a_lasting_connection_was(void **state) {
        MqttSetup s = {.host = "a b", .port = 1};
        MqttWorker w = {.setup = &s};

        address_next(&w, false);
        address_next(&w, false);
        address_next(&w, false);
        assert_int_equal(w.addresses.rounds, 1);
        address_next(&w, true); /* b was connected, and is lost */
        assert_int_equal(w.addresses.rounds, 0);
        assert_int_equal(w.addresses.item, 0);
        address_next(&w, false);
        assert_int_equal(w.addresses.rounds, 1);
}

static void test_address_targets_are_tried_one_by_one_and_asked_for_anew(void **state) {
        MqttSetup s = {.host = "_secure-mqtt._tcp.example.org other", .port = 8883};
        MqttWorker w = {.setup = &s};

        records_are(2);
        asked = 0;
        assert_string_equal(attempt(&w, 0), "node1.example.net:9001 for example.org");
        assert_string_equal(w.name, "example.org");
        address_next(&w, false);
        assert_string_equal(attempt(&w, 0), "node2.example.net:9002 for example.org");
        assert_int_equal(asked, 1);
        assert_int_equal(w.addresses.rounds, 0);
        address_next(&w, false);
        assert_string_equal(attempt(&w, 0), "other:8883");
        assert_string_equal(w.name, "other");
        address_next(&w, false);
        assert_int_equal(w.addresses.rounds, 1);
        records_are(1);
        records.all[0].port = 77;
        w.addresses.turn = 0;
        assert_string_equal(attempt(&w, 0), "node1.example.net:77 for example.org");
        assert_int_equal(asked, 2);
}

/* The target with the lowest priority is to be used as soon as it can be: a lost connection to another one is
 * the occasion. One that is lost at once (a node that drains, or breaks) goes on to the next instead. */
static void test_address_first_target_is_tried_again_after_a_connection_that_lasted(void **state) {
        MqttSetup s = {.host = "_secure-mqtt._tcp.example.org other", .port = 8883};
        MqttWorker w = {.setup = &s};

        records_are(3);
        (void)attempt(&w, 0);
        address_next(&w, false);
        assert_string_equal(attempt(&w, 0), "node2.example.net:9002 for example.org");
        address_next(&w, true);
        asked = 0;
        assert_string_equal(attempt(&w, 0), "node1.example.net:9001 for example.org");
        assert_int_equal(asked, 1);
        address_next(&w, false);
        assert_string_equal(attempt(&w, 0), "node2.example.net:9002 for example.org");
}

static void test_address_without_records_is_the_domain_itself(void **state) {
        MqttSetup s = {.host = "_secure-mqtt._tcp.example.org", .port = 8884};
        MqttWorker w = {.setup = &s};

        records_result = -ENODATA;
        assert_string_equal(attempt(&w, 0), "example.org:8884");
        address_next(&w, false);
        assert_int_equal(w.addresses.rounds, 1);
}

static void test_address_that_cannot_be_asked_for_is_a_failed_attempt(void **state) {
        static const int results[] = {-ENOENT, -EBADMSG, -EAGAIN};
        MqttSetup s = {.host = "_secure-mqtt._tcp.example.org other", .port = 8884};

        for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
                MqttWorker w = {.setup = &s};
                records_result = results[i];
                (void)attempt(&w, -1);
                assert_non_null(strstr(w.complaint, "SRV records"));
                address_next(&w, false);
                assert_string_equal(attempt(&w, 0), "other:8884");
        }
}

/* What a worker tells before it dies, and the next one is given. */
static MqttWorker replaced(const MqttWorker *w, bool lasted) {
        MqttWireHeader place = address_place(w, lasted);
        MqttWorker next = {.setup = w->setup};

        address_go_on(&next, &place);
        return next;
}

static void test_address_place_outlives_the_worker(void **state) {
        MqttSetup s = {.host = "a b c", .port = 1};
        MqttWorker w = {.setup = &s};

        for (unsigned i = 0; i < 7; i++) {
                static const char *const expected[] = {"a:1", "b:1", "c:1"};
                unsigned turn = w.addresses.turn;
                assert_int_equal(turn, i / 3);
                w.addresses.turn = 0; /* no addresses of names */
                assert_string_equal(attempt(&w, 0), expected[i % 3]);
                w.addresses.turn = turn;
                assert_int_equal(w.addresses.rounds, i / 3);
                w = replaced(&w, false);
        }
        w = replaced(&w, true);
        assert_int_equal(w.addresses.rounds, 0); /* b lasted: the round begins there */
        assert_int_equal(w.addresses.item, 2);
        assert_int_equal(w.addresses.first, 1);
}

static void test_address_target_outlives_the_worker(void **state) {
        MqttSetup s = {.host = "_secure-mqtt._tcp.example.org other", .port = 8883};
        MqttWorker w = {.setup = &s};

        records_are(3);
        assert_string_equal(attempt(&w, 0), "node1.example.net:9001 for example.org");
        w = replaced(&w, false);
        assert_string_equal(attempt(&w, 0), "node2.example.net:9002 for example.org");
        w = replaced(&w, false);
        records_are(2); /* of which the third is not one any more */
        assert_string_equal(attempt(&w, 0), "node1.example.net:9001 for example.org");
        /* One that did not even learn which there are: the next of the list. */
        w = (MqttWorker){.setup = &s};
        w = replaced(&w, false);
        assert_string_equal(attempt(&w, 0), "other:8883");
}

static void test_address_place_that_cannot_be_is_made_one(void **state) {
        MqttSetup s = {.host = "a b", .port = 1};
        MqttWorker w = {.setup = &s};

        address_go_on(&w,
                      &(MqttWireHeader){
                              .token = UINT64_MAX, .flags = UINT32_MAX, .a = UINT32_MAX, .b = UINT32_MAX});
        w.addresses.turn = 0;
        assert_string_equal(attempt(&w, 0), "b:1");
        assert_in_range(w.addresses.first, 0, 1);
        (void)backoff_delay(&(MqttSetup){.backoff_min_usec = 1, .backoff_max_usec = 2}, w.addresses.rounds);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_address_list_is_tried_in_turn),
                cmocka_unit_test(test_address_round_begins_where_a_lasting_connection_was),
                cmocka_unit_test(test_address_targets_are_tried_one_by_one_and_asked_for_anew),
                cmocka_unit_test(test_address_first_target_is_tried_again_after_a_connection_that_lasted),
                cmocka_unit_test(test_address_without_records_is_the_domain_itself),
                cmocka_unit_test(test_address_that_cannot_be_asked_for_is_a_failed_attempt),
                cmocka_unit_test(test_address_place_outlives_the_worker),
                cmocka_unit_test(test_address_target_outlives_the_worker),
                cmocka_unit_test(test_address_place_that_cannot_be_is_made_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
