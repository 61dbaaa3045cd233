/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-ble: whose turn it is, explored; and what its wire lets through. */
#include "ble/ble_wire.h"
#include "ble/phones.h"
#include "lockerd/ble.h"
#include "base/macros.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <cmocka.h>

#define IDLE (UINT64_C(1000) * LOCKERD_BLE_IDLE_MS)

static Phone *served(Phones *p, const char *device) {
        Phone *phone = phones_connected(p, device, 0);

        phones_ask(p, phone, 23, 0);
        assert_int_equal(phone->state, PHONE_SERVED);
        return phone;
}

static void test_ble_fragment_fits_the_mtu(void **state) {
        static const struct {
                unsigned mtu, most;
        } rows[] = {{23, 16},   {24, 17}, {185, 178}, {514, 507}, {515, 508},
                    {517, 508}, {0, 16},  {22, 16},   {518, 16},  {70000, 16}};
        Phones p = {.served_max = 1};
        Phone *phone = phones_connected(&p, "/a", 0);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                phones_ask(&p, phone, rows[i].mtu, 0);
                assert_int_equal(phone->most, rows[i].most);
        }
}

static void test_ble_place_is_kept_for_who_waits_longest(void **state) {
        Phones p = {.served_max = 1};
        Phone *one = served(&p, "/1"), *two = phones_connected(&p, "/2", 0),
              *three = phones_connected(&p, "/3", 0);

        phones_ask(&p, three, 23, 1);
        phones_ask(&p, two, 23, 2);
        assert_int_equal(phones_ahead(&p, two), 1);
        phones_ended(&p, one, 3);
        /* Neither who was served before, nor a newcomer, gets in front. */
        phones_ask(&p, one, 23, 3);
        assert_int_equal(one->state, PHONE_WAITING);
        assert_ptr_equal(phones_next(&p, 4), three);
        assert_null(phones_next(&p, 4));
        phones_gone(&p, three);
        assert_ptr_equal(phones_next(&p, 5), two);
        assert_int_equal(phones_ahead(&p, one), 0);
}

static void test_ble_idle_phone_is_overdue_once(void **state) {
        Phones p = {.served_max = 1};
        Phone *phone = phones_connected(&p, "/1", 100);

        assert_int_equal(phones_due(&p), 100 + IDLE);
        assert_null(phones_overdue(&p, 99 + IDLE));
        assert_ptr_equal(phones_overdue(&p, 100 + IDLE), phone);
        assert_null(phones_overdue(&p, 200 + IDLE));
        assert_true(phones_due(&p) == UINT64_MAX);
        phones_ask(&p, phone, 23, 300);
        assert_true(phones_due(&p) == UINT64_MAX);
        phones_ended(&p, phone, 400 + IDLE);
        assert_int_equal(phones_due(&p), 400 + 2 * IDLE);
}

static void test_ble_more_phones_than_places_are_refused(void **state) {
        Phones p = {.served_max = 2};
        char device[PHONE_DEVICE_MAX + 1];

        for (int i = 0; i < PHONES_MAX; i++) {
                snprintf(device, sizeof(device), "/%d", i);
                assert_non_null(phones_connected(&p, device, 0));
        }
        assert_null(phones_connected(&p, "/more", 0));
        assert_non_null(phones_connected(&p, "/3", 0));
        phones_gone(&p, phones_find(&p, "/3"));
        memset(device, 'x', PHONE_DEVICE_MAX);
        device[PHONE_DEVICE_MAX] = '\0';
        assert_null(phones_connected(&p, device, 0));
        assert_null(phones_connected(&p, "", 0));
        assert_non_null(phones_connected(&p, "/more", 0));
}

/* --- every way that three phones can take over two places, to depth 8 --- */

static void check(const Phones *p) {
        unsigned n_served = 0, n_waiting = 0;

        for (unsigned i = 0; i < PHONES_MAX; i++) {
                const Phone *a = &p->phones[i];
                if (!*a->device)
                        continue;
                n_served += a->state == PHONE_SERVED;
                n_waiting += a->state == PHONE_WAITING;
                assert_true(a->state == PHONE_IDLE || a->number);
                for (unsigned k = i + 1; k < PHONES_MAX; k++)
                        assert_true(!*p->phones[k].device || !a->number || a->number != p->phones[k].number);
        }
        assert_true(n_served <= p->served_max);
        /* Nobody waits beside a free place. */
        assert_true(!n_waiting || n_served == p->served_max);
}

static unsigned walk(const Phones *from, unsigned depth) {
        static const char *const devices[] = {"/1", "/2", "/3"};
        unsigned n = 1;

        check(from);
        for (unsigned what = 0; depth && what < 3; what++)
                for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
                        Phones p = *from;
                        Phone *phone = phones_find(&p, devices[i]);
                        if (what == 0) {
                                phone = phones_connected(&p, devices[i], depth);
                                phones_ask(&p, phone, 23, depth);
                                assert_int_not_equal(phone->state, PHONE_IDLE);
                        } else if (phone && what == 1)
                                phones_gone(&p, phone);
                        else if (phone && phone->state == PHONE_SERVED)
                                phones_ended(&p, phone, depth);
                        else
                                continue;
                        while (phones_next(&p, depth))
                                ;
                        n += walk(&p, depth - 1);
                }
        return n;
}

static void test_ble_queue_explored(void **state) {
        Phones p = {.served_max = 2};

        /* Numbers come round while others are in use. */
        p.last_number = 250;
        assert_true(walk(&p, 7) > 10000);
}

/* --- the wire --- */

static void test_ble_wire_carries_what_it_is_given(void **state) {
        BleSetup setup = {.cabinet = "C-0012", .bus = "unix:path=/run/dbus/system_bus_socket", .phones = 4};
        BleStream stream = {.phone = "AA:BB:CC:DD:EE:FF"};
        int fds[2], passed;
        BleBody m;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
        assert_int_equal(ble_wire_send(fds[0], BLE_SETUP, &setup, -1), 0);
        assert_int_equal(ble_wire_receive(fds[1], true, &m, &passed), 1);
        assert_int_equal(passed, -1);
        assert_string_equal(m.setup.cabinet, "C-0012");
        assert_int_equal(ble_wire_receive(fds[1], true, &m, &passed), 0);
        /* The other way round it is no message, and what came with it is closed. */
        assert_int_equal(ble_wire_send(fds[0], BLE_STREAM, &stream, fds[0]), 0);
        assert_int_equal(ble_wire_receive(fds[1], true, &m, &passed), -EPROTO);
        assert_int_equal(passed, -1);
        assert_int_equal(ble_wire_send(fds[0], BLE_STREAM, &stream, fds[0]), 0);
        assert_int_equal(ble_wire_receive(fds[1], false, &m, &passed), 1);
        assert_true(passed >= 0);
        close(passed);
        /* A stream without a descriptor is none. */
        assert_int_equal(ble_wire_send(fds[0], BLE_STREAM, &stream, -1), 0);
        assert_int_equal(ble_wire_receive(fds[1], false, &m, &passed), -EPROTO);
        close(fds[0]);
        assert_int_equal(ble_wire_receive(fds[1], true, &m, &passed), -EPIPE);
        close(fds[1]);
}

static void test_ble_wire_refuses_nonsense(void **state) {
        BleSetup good = {.header = {BLE_WIRE_VERSION, BLE_SETUP, 0}, .cabinet = "C", .bus = "b", .phones = 8};
        BleHealth health = {.header = {BLE_WIRE_VERSION, BLE_HEALTH, 0}, .problem = BLE_PROBLEM_MAX};
        BleSetup bad;
        BleBody m;

        assert_int_equal(ble_wire_check(&good, sizeof(good), true, &m), 0);
        assert_int_equal(ble_wire_check(&good, sizeof(good) - 1, true, &m), -EPROTO);
        assert_int_equal(ble_wire_check(&good, 3, true, &m), -EPROTO);
        assert_int_equal(ble_wire_check(&health, sizeof(health), false, &m), -EPROTO);
#define REFUSED(change) \
        bad = good;     \
        change;         \
        assert_int_equal(ble_wire_check(&bad, sizeof(bad), true, &m), -EPROTO)
        REFUSED(bad.header.version++);
        REFUSED(bad.header.type = BLE_TYPE_MAX);
        REFUSED(bad.header.type = 0);
        REFUSED(bad.phones = 0);
        REFUSED(bad.phones = 9);
        REFUSED(bad.cabinet[0] = '\0');
        REFUSED(bad.cabinet[0] = '\n');
        REFUSED(bad.cabinet[0] = '\xff');
        REFUSED(memset(bad.cabinet, 'x', sizeof(bad.cabinet)));
        REFUSED(bad.bus[0] = '\0');
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ble_fragment_fits_the_mtu),
                cmocka_unit_test(test_ble_place_is_kept_for_who_waits_longest),
                cmocka_unit_test(test_ble_idle_phone_is_overdue_once),
                cmocka_unit_test(test_ble_more_phones_than_places_are_refused),
                cmocka_unit_test(test_ble_queue_explored),
                cmocka_unit_test(test_ble_wire_carries_what_it_is_given),
                cmocka_unit_test(test_ble_wire_refuses_nonsense),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
