/* SPDX-License-Identifier: Apache-2.0 */
/* What is believed of a board's inputs: contacts that chatter, and what fails together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lock/facts.h"
#include "core/chatter.h"

#include <string.h>

#define MS    USEC_PER_MSEC
#define START (1000 * USEC_PER_SEC)
#define DOORS 6
#define FIRE  6 /* channel */
#define ALL   0x3F

typedef struct Told {
        Fact facts[4096];
        FactChatter chatter[64];
        struct {
                int board;
                bool fault;
        } common[128];
        unsigned n_facts, n_chatter, n_common;
} Told;

static Told told;
static Facts *facts;
static uint64_t now;
static Lock locks[DOORS];
static Slot slots[DOORS];
static Board boards[1];
static Alarm alarms[1];
static Cabinet cabinet = {.locks = locks,
                          .slots = slots,
                          .boards = boards,
                          .alarms = alarms,
                          .n_locks = DOORS,
                          .n_slots = DOORS,
                          .n_boards = 1,
                          .n_alarms = 1};

static void on_fact(void *userdata, const Fact *fact, bool more) {
        assert_true(told.n_facts < ARRAY_SIZE(told.facts));
        told.facts[told.n_facts++] = *fact;
}

static void on_chatter(void *userdata, const FactChatter *chatter) {
        assert_true(told.n_chatter < ARRAY_SIZE(told.chatter));
        told.chatter[told.n_chatter++] = *chatter;
}

static void on_common(void *userdata, int board, bool fault) {
        assert_true(told.n_common < ARRAY_SIZE(told.common));
        told.common[told.n_common].board = board;
        told.common[told.n_common++].fault = fault;
}

/* `odd`: the last door's contact means the opposite. */
static void setup(bool odd) {
        static const FactsHandlers handlers = {on_fact, on_chatter, on_common};

        for (int i = 0; i < DOORS; i++) {
                locks[i] = (Lock){
                        .slot = i,
                        .position = -1,
                        .contact = {.board = 0, .channel = (unsigned)i, .active = !odd || i < DOORS - 1},
                        .latch.board = -1};
                slots[i] = (Slot){.lock = i, .release.board = -1};
        }
        alarms[0] = (Alarm){.input = {.board = 0, .channel = FIRE, .active = true}};
        facts = facts_free(facts);
        assert_int_equal(facts_new(&facts, &cabinet, &handlers, NULL), 0);
        now = START;
        memset(&told, 0, sizeof(told));
}

static void say(uint8_t bits) {
        uint8_t all[WIRE_CHANNELS / 8] = {bits};

        facts_inputs(facts, 0, all, now);
}

/* Time passes; the timer fires when it should. */
static void pass(uint64_t usec) {
        uint64_t until = now + usec;

        while (facts_next_deadline(facts) <= until) {
                now = MAX(now, facts_next_deadline(facts));
                facts_tick(facts, now);
                assert_true(facts_next_deadline(facts) > now);
        }
        now = until;
}

static void all_shut(void) {
        say(ALL);
        pass(10 * USEC_PER_SEC);
        memset(&told, 0, sizeof(told));
}

static Tri door(int i) {
        return facts_get(facts, FACT_CONTACT, i);
}

/* No configuration makes safety inputs be read more seldom.
 * Requirement: F12, P7 */
static void test_board_with_safety_inputs_is_read_often_at_rest(void **state) {
        static const struct {
                unsigned idle_ms;
                bool alarm;
                unsigned read_ms;
        } rows[] = {{250, true, 250}, {2000, true, 250}, {10, true, 10}, {2000, false, 2000}};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                WireBoard m = {0};
                boards[0].idle_poll_ms = rows[i].idle_ms;
                setup(false);
                alarms[0].input.board = rows[i].alarm ? 0 : -1;
                facts = facts_free(facts);
                assert_int_equal(
                        facts_new(&facts, &cabinet, &(FactsHandlers){on_fact, on_chatter, on_common}, NULL),
                        0);
                facts_describe(facts, 0, &m);
                assert_int_equal(m.idle_poll_ms, rows[i].read_ms);
        }
}

static void test_commanded_opening_is_told_at_once(void **state) {
        setup(false);
        all_shut();
        facts_commanded(facts, 1, now, now + 5 * USEC_PER_SEC);
        say(ALL & ~2);
        assert_int_equal(told.n_facts, 1);
        assert_int_equal(door(1), TRI_NO);
        say(ALL);
        assert_int_equal(told.n_facts, 2); /* and so is every door that is shut */
}

static void test_forced_door_is_told_soon(void **state) {
        setup(false);
        all_shut();
        uint64_t since = now;
        say(ALL & ~2);
        assert_int_equal(told.n_facts, 0);
        pass(FACTS_HOLD_USEC);
        assert_int_equal(told.n_facts, 1);
        assert_int_equal(told.facts[0].value, TRI_NO);
        assert_int_equal(told.facts[0].at_boot, since);
        assert_int_equal(told.n_common, 0);
}

/* It may be a wrong door, which is compared with what was told to open. */
static void test_forced_door_while_another_is_commanded_is_told_at_once(void **state) {
        setup(false);
        all_shut();
        facts_commanded(facts, 4, now, now + 5 * USEC_PER_SEC);
        say(ALL & ~2);
        pass(FACTS_HOLD_BUSY_USEC);
        assert_int_equal(door(1), TRI_NO);
}

static void test_two_doors_at_once_are_two_doors(void **state) {
        setup(false);
        all_shut();
        say(ALL & ~3);
        pass(FACTS_HOLD_USEC);
        assert_int_equal(told.n_facts, 2);
        assert_int_equal(told.n_common, 0);
}

/* Requirement: F4 */
static void test_common_wire_lost_is_one_fault_of_the_board(void **state) {
        for (unsigned odd = 0; odd < 2; odd++) {
                setup(odd);
                say(odd ? ALL & ~0x20 : ALL);
                pass(10 * USEC_PER_SEC);
                memset(&told, 0, sizeof(told));
                say(0);
                assert_int_equal(told.n_common, 1);
                assert_true(told.common[0].fault);
                pass(60 * USEC_PER_SEC);
                assert_int_equal(told.n_facts, DOORS);
                for (int i = 0; i < DOORS; i++)
                        assert_int_equal(told.facts[i].value, TRI_UNKNOWN);
                /* Mended: a while later everything is as it was. */
                memset(&told, 0, sizeof(told));
                say(odd ? ALL & ~0x20 : ALL);
                pass(FACTS_MEND_FIRST_USEC - 1);
                assert_int_equal(told.n_common, 0);
                pass(1);
                assert_int_equal(told.n_common, 1);
                assert_int_equal(told.n_facts, DOORS);
                for (int i = 0; i < DOORS; i++)
                        assert_int_equal(door(i), TRI_YES);
                assert_int_equal(told.n_chatter, 0);
        }
}

/* GPIO lines, and boards that are read part by part, tell one after the other. */
static void test_common_wire_lost_one_after_the_other_is_one_fault(void **state) {
        setup(false);
        all_shut();
        for (int i = 1; i <= DOORS; i++) {
                pass(120 * MS);
                say((uint8_t)(ALL << i & ALL));
        }
        pass(USEC_PER_SEC);
        assert_int_equal(told.n_common, 1);
        for (unsigned i = 0; i < told.n_facts; i++)
                assert_int_equal(told.facts[i].value, TRI_UNKNOWN);
}

static void test_doors_opened_one_after_the_other_are_told(void **state) {
        setup(false);
        all_shut();
        for (int i = 1; i <= DOORS; i++) {
                say((uint8_t)(ALL << i & ALL));
                pass(USEC_PER_SEC);
        }
        assert_int_equal(told.n_common, 0);
        assert_int_equal(told.n_facts, DOORS);
}

/* The fire contact is on the same wire: whether it is active is not doubted.
 * Requirement: F12 */
static void test_alarm_is_believed_whatever_the_board_does(void **state) {
        setup(false);
        all_shut();
        say(0);
        assert_int_equal(told.n_common, 1);
        say(1u << FIRE);
        assert_int_equal(facts_get(facts, FACT_ALARM, 0), TRI_YES);
        say(0);
        assert_int_equal(facts_get(facts, FACT_ALARM, 0), TRI_NO);
        for (int i = 0; i < 200; i++, pass(50 * MS)) {
                say(i % 2 ? 0 : 1u << FIRE);
                assert_int_equal(facts_get(facts, FACT_ALARM, 0), i % 2 ? TRI_NO : TRI_YES);
        }
        assert_int_equal(told.n_chatter, 1);
        assert_int_equal(told.chatter[0].kind, FACT_ALARM);
}

/* Alarm: all doors open by command, several at a time. */
static void test_doors_that_were_told_to_open_are_no_fault(void **state) {
        setup(false);
        all_shut();
        for (int i = 0; i < DOORS; i++)
                facts_commanded(facts, i, now, now + 30 * USEC_PER_SEC);
        say(0);
        assert_int_equal(told.n_common, 0);
        assert_int_equal(told.n_facts, DOORS);
}

/* A wire that comes and goes for a day.
 * Requirement: F4 */
static void test_common_wire_that_flaps_is_told_a_bounded_number_of_times(void **state) {
        for (uint64_t every = 20 * MS; every < 600 * USEC_PER_SEC; every = every * 3 / 2) {
                setup(false);
                all_shut();
                for (uint64_t until = now + 86400 * USEC_PER_SEC, i = 0; now < until; i++) {
                        say(i % 2 ? ALL : 0);
                        pass(every);
                        assert_true(told.n_facts < ARRAY_SIZE(told.facts) - 16);
                        if (i % 64 == 0)
                                told.n_facts = 0; /* counted by their reasons */
                }
                assert_true(told.n_common <= 100);
                for (unsigned i = 0; i < told.n_facts; i++)
                        assert_true(told.facts[i].value != TRI_NO);
        }
}

/* Four times a second for ten hours: told a handful of times, then unknown, then believed again.
 * Requirement: F4, F1 */
static void test_contact_that_chatters_is_unknown_until_it_rests(void **state) {
        setup(false);
        all_shut();
        for (unsigned i = 0; i < 10 * 3600 * 4; i++) {
                say(i % 2 ? ALL : ALL & ~1);
                pass(250 * MS);
        }
        assert_int_equal(told.n_chatter, 1);
        assert_int_equal(told.chatter[0].kind, FACT_CONTACT);
        assert_int_equal(told.chatter[0].index, 0);
        assert_false(told.chatter[0].over);
        assert_true(told.n_facts <= CHATTER_CHANGES + 1);
        assert_int_equal(door(0), TRI_UNKNOWN);
        assert_int_equal(door(1), TRI_YES);
        pass(CHATTER_REST_FIRST);
        assert_int_equal(told.n_chatter, 2);
        assert_true(told.chatter[1].over);
        assert_int_equal(told.chatter[1].changes, 10 * 3600 * 4);
        assert_int_equal(door(0), TRI_YES);
}

static void test_board_that_comes_back_begins_afresh(void **state) {
        setup(false);
        all_shut();
        say(0);
        facts_lost(facts, 0, now);
        assert_int_equal(facts_next_deadline(facts), USEC_INFINITY);
        say(ALL & ~1);
        assert_int_equal(door(0), TRI_NO); /* not: opened now */
        assert_int_equal(door(1), TRI_YES);
}

/* The daemon starts, or the board comes back, and every door of it reads open. */
static void test_doors_that_all_are_open_when_the_board_is_first_heard_are_one_fault(void **state) {
        setup(false);
        say(0);
        assert_int_equal(told.n_common, 1);
        assert_true(told.common[0].fault);
        assert_int_equal(door(0), TRI_UNKNOWN);
        say(ALL & ~1); /* it is mended, or all but one have been shut */
        pass(FACTS_MEND_FIRST_USEC);
        assert_int_equal(told.n_common, 2);
        assert_int_equal(door(0), TRI_NO);
        assert_int_equal(door(1), TRI_YES);
        /* One that is shut says that the wire is there. */
        setup(false);
        say(1);
        assert_int_equal(told.n_common, 0);
        assert_int_equal(door(1), TRI_NO);
}

static int teardown(void **state) {
        facts = facts_free(facts);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commanded_opening_is_told_at_once),
                cmocka_unit_test(test_forced_door_is_told_soon),
                cmocka_unit_test(test_forced_door_while_another_is_commanded_is_told_at_once),
                cmocka_unit_test(test_two_doors_at_once_are_two_doors),
                cmocka_unit_test(test_common_wire_lost_is_one_fault_of_the_board),
                cmocka_unit_test(test_common_wire_lost_one_after_the_other_is_one_fault),
                cmocka_unit_test(test_doors_opened_one_after_the_other_are_told),
                cmocka_unit_test(test_alarm_is_believed_whatever_the_board_does),
                cmocka_unit_test(test_doors_that_were_told_to_open_are_no_fault),
                cmocka_unit_test(test_common_wire_that_flaps_is_told_a_bounded_number_of_times),
                cmocka_unit_test(test_contact_that_chatters_is_unknown_until_it_rests),
                cmocka_unit_test(test_board_that_comes_back_begins_afresh),
                cmocka_unit_test(test_board_with_safety_inputs_is_read_often_at_rest),
                cmocka_unit_test(test_doors_that_all_are_open_when_the_board_is_first_heard_are_one_fault),
        };

        return cmocka_run_group_tests_name("facts", tests, NULL, teardown);
}
