/* SPDX-License-Identifier: Apache-2.0 */
/* SRV records: what is taken of a name server's answer, and in which order the targets are tried. */
#include "mqtt/srv.h"
#include "base/macros.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- answers, made by hand --- */

typedef struct Message {
        uint8_t bytes[4096];
        size_t n;
} Message;

static void add_16(Message *m, unsigned v) {
        m->bytes[m->n++] = (uint8_t)(v >> 8);
        m->bytes[m->n++] = (uint8_t)v;
}

/* Dots separate labels; "" is the root. */
static size_t add_name(Message *m, const char *name) {
        size_t begin = m->n;

        while (*name) {
                size_t n = strcspn(name, ".");
                m->bytes[m->n++] = (uint8_t)n;
                memcpy(m->bytes + m->n, name, n);
                m->n += n;
                name += n + (name[n] == '.');
        }
        m->bytes[m->n++] = 0;
        return m->n - begin;
}

static void begin(Message *m) {
        *m = (Message){0};
        add_16(m, 1);
        add_16(m, 0x8180); /* an answer */
        add_16(m, 1);
        for (int i = 0; i < 3; i++)
                add_16(m, 0);
        add_name(m, "_mqtt._tcp.example.org");
        add_16(m, 33);
        add_16(m, 1);
}

static size_t begin_record(Message *m, unsigned type) {
        m->bytes[7]++;
        add_16(m, 0xc00c); /* the name of the question */
        add_16(m, type);
        add_16(m, 1);
        add_16(m, 0);
        add_16(m, 60);
        add_16(m, 0);
        return m->n;
}

static void end_record(Message *m, size_t from) {
        m->bytes[from - 1] = (uint8_t)(m->n - from);
        m->bytes[from - 2] = (uint8_t)((m->n - from) >> 8);
}

static void add_srv(Message *m, unsigned priority, unsigned weight, unsigned port, const char *target) {
        size_t from = begin_record(m, 33);

        add_16(m, priority);
        add_16(m, weight);
        add_16(m, port);
        add_name(m, target);
        end_record(m, from);
}

static void test_srv_targets_with_port_priority_and_weight_are_read(void **state) {
        Message m;
        SrvList l;

        begin(&m);
        add_srv(&m, 10, 60, 8883, "node1.example.org");
        size_t from = begin_record(&m, 1); /* something else among them */
        add_16(&m, 0x7f00);
        add_16(&m, 1);
        end_record(&m, from);
        add_srv(&m, 20, 0, 18883, "node2.example.net");
        assert_int_equal(srv_read(m.bytes, m.n, &l), 0);
        assert_int_equal(l.n, 2);
        assert_string_equal(l.all[0].host, "node1.example.org");
        assert_int_equal(l.all[0].priority, 10);
        assert_int_equal(l.all[0].weight, 60);
        assert_int_equal(l.all[0].port, 8883);
        assert_string_equal(l.all[1].host, "node2.example.net");
        assert_int_equal(l.all[1].port, 18883);
}

static void test_srv_what_is_no_host_is_left_out(void **state) {
        static const char *const bad[] = {
                "127.0.0.1",           "10.1",   "example.1", "a b.example", "x\n<3>forged",
                "caf\xc3\xa9.example", "$(x).y", "",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                Message m;
                SrvList l;

                begin(&m);
                add_srv(&m, 1, 1, 1883, bad[i]);
                add_srv(&m, 2, 2, 0, "port-zero.example");
                add_srv(&m, 3, 3, 1883, "good.example");
                assert_int_equal(srv_read(m.bytes, m.n, &l), 0);
                assert_int_equal(l.n, 1);
                assert_string_equal(l.all[0].host, "good.example");
        }
}

static void test_srv_nothing_is_told_apart_from_no_service_and_from_nonsense(void **state) {
        SrvList untouched = {.n = 77}, l = untouched;
        Message m;

        begin(&m);
        assert_int_equal(srv_read(m.bytes, m.n, &l), -ENODATA);
        add_srv(&m, 0, 0, 0, "");
        assert_int_equal(srv_read(m.bytes, m.n, &l), -ENOENT);
        add_srv(&m, 0, 0, 1883, "192.0.2.1");
        assert_int_equal(srv_read(m.bytes, m.n, &l), -EBADMSG);
        begin(&m);
        m.bytes[2] |= 2; /* cut off, and nothing left */
        assert_int_equal(srv_read(m.bytes, m.n, &l), -EBADMSG);
        assert_int_equal(srv_read(m.bytes, 11, &l), -EBADMSG);
        assert_int_equal(l.n, 77);
}

static void test_srv_damaged_answers_are_refused(void **state) {
        Message m;
        SrvList l;

        begin(&m);
        add_srv(&m, 1, 1, 1883, "node1.example.org");
        for (size_t n = 0; n < m.n; n++) {
                uint8_t *exact = malloc(n ? n : 1);
                memcpy(exact, m.bytes, n);
                assert_int_equal(srv_read(exact, n, &l), -EBADMSG);
                free(exact);
        }
        /* A name that points to itself. */
        begin(&m);
        size_t from = begin_record(&m, 33);
        add_16(&m, 1);
        add_16(&m, 1);
        add_16(&m, 1883);
        add_16(&m, 0xc000 | (unsigned)m.n);
        end_record(&m, from);
        assert_int_equal(srv_read(m.bytes, m.n, &l), -EBADMSG);
        /* A record that is too short for a target. */
        begin(&m);
        from = begin_record(&m, 33);
        add_16(&m, 1);
        end_record(&m, from);
        assert_int_equal(srv_read(m.bytes, m.n, &l), -EBADMSG);
}

static void test_srv_no_more_than_the_bound_is_kept(void **state) {
        Message m;
        SrvList l;

        begin(&m);
        for (int i = 0; i < 100; i++)
                add_srv(&m, 1, 1, 1883, "a.example");
        assert_int_equal(srv_read(m.bytes, m.n, &l), 0);
        assert_int_equal(l.n, SRV_TARGETS_MAX);
}

/* --- order --- */

static uint64_t random_state = 88172645463325252;

static uint64_t dice(uint64_t n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state % n;
}

static SrvTarget target(unsigned priority, unsigned weight, unsigned port) {
        return (SrvTarget){
                .priority = (uint16_t)priority, .weight = (uint16_t)weight, .port = (uint16_t)port};
}

static void test_srv_lower_priority_is_always_first(void **state) {
        for (int i = 0; i < 1000; i++) {
                SrvList l = {.n = 5,
                             .all = {target(20, 65535, 1), target(10, 0, 2), target(65535, 9, 3),
                                     target(10, 5, 4), target(0, 0, 5)}};
                bool seen[6] = {0};

                srv_order(&l, dice);
                for (unsigned k = 0; k < l.n; k++) {
                        assert_false(seen[l.all[k].port]);
                        seen[l.all[k].port] = true;
                        assert_true(k == 0 || l.all[k - 1].priority <= l.all[k].priority);
                }
        }
}

/* Of two thirds, one third and next to nothing, as RFC 2782 draws. */
static void test_srv_within_a_priority_the_weight_is_the_chance(void **state) {
        unsigned first[4] = {0}, last[4] = {0};

        for (int i = 0; i < 30000; i++) {
                SrvList l = {.n = 3, .all = {target(1, 20, 1), target(1, 10, 2), target(1, 0, 3)}};
                srv_order(&l, dice);
                first[l.all[0].port]++;
                last[l.all[2].port]++;
        }
        assert_in_range(first[1], 30000 * 20 / 31 - 600, 30000 * 20 / 31 + 600);
        assert_in_range(first[2], 30000 * 10 / 31 - 600, 30000 * 10 / 31 + 600);
        assert_in_range(first[3], 30000 / 31 - 200, 30000 / 31 + 200);
        assert_in_range(last[3], 26300, 27300);
}

static void test_srv_none_or_one_is_no_work(void **state) {
        SrvList l = {0};

        srv_order(&l, dice);
        l = (SrvList){.n = 1, .all = {target(3, 0, 7)}};
        srv_order(&l, dice);
        assert_int_equal(l.all[0].port, 7);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_srv_targets_with_port_priority_and_weight_are_read),
                cmocka_unit_test(test_srv_what_is_no_host_is_left_out),
                cmocka_unit_test(test_srv_nothing_is_told_apart_from_no_service_and_from_nonsense),
                cmocka_unit_test(test_srv_damaged_answers_are_refused),
                cmocka_unit_test(test_srv_no_more_than_the_bound_is_kept),
                cmocka_unit_test(test_srv_lower_priority_is_always_first),
                cmocka_unit_test(test_srv_within_a_priority_the_weight_is_the_chance),
                cmocka_unit_test(test_srv_none_or_one_is_no_work),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
