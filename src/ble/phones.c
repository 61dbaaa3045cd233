/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/phones.h"
#include "lockerd/ble.h"

#include <string.h>

#define IDLE    (UINT64_C(1000) * LOCKERD_BLE_IDLE_MS)
#define MTU_MIN 23U
#define MTU_MAX 517U
/* Opcode, handle and, where a phone takes several notifications in one packet, the length: BlueZ cuts off
 * what does not fit. */
#define NOTIFICATION_HEADER 5U

Phone *phones_find(Phones *p, const char *device) {
        for (unsigned i = 0; i < PHONES_MAX; i++)
                if (*p->phones[i].device && !strcmp(p->phones[i].device, device))
                        return &p->phones[i];
        return NULL;
}

Phone *phones_connected(Phones *p, const char *device, uint64_t now) {
        Phone *known = phones_find(p, device);
        size_t n = strlen(device);

        if (known)
                return known;
        if (!n || n >= PHONE_DEVICE_MAX)
                return NULL;
        for (unsigned i = 0; i < PHONES_MAX; i++) {
                Phone *phone = &p->phones[i];
                if (*phone->device)
                        continue;
                *phone = (Phone){.state = PHONE_IDLE, .since = now};
                memcpy(phone->device, device, n + 1);
                return phone;
        }
        return NULL;
}

void phones_gone(Phones *p, Phone *phone) {
        (void)p;
        *phone = (Phone){0};
}

static bool number_is_used(const Phones *p, uint8_t number) {
        for (unsigned i = 0; i < PHONES_MAX; i++)
                if (*p->phones[i].device && p->phones[i].number == number)
                        return true;
        return false;
}

/* What is still on its way to the phone before is not for the next. */
static uint8_t new_number(Phones *p) {
        do
                p->last_number++;
        while (!p->last_number || number_is_used(p, p->last_number));
        return p->last_number;
}

static unsigned count(const Phones *p, PhoneState state) {
        unsigned n = 0;

        for (unsigned i = 0; i < PHONES_MAX; i++)
                n += *p->phones[i].device && p->phones[i].state == state;
        return n;
}

static void become(Phone *phone, PhoneState state, uint64_t now) {
        phone->state = state;
        phone->since = now;
        phone->told = false;
        phone->in = phone->out = 0;
}

void phones_ask(Phones *p, Phone *phone, unsigned mtu, uint64_t now) {
        if (mtu < MTU_MIN || mtu > MTU_MAX)
                mtu = MTU_MIN;
        phone->most = (mtu - NOTIFICATION_HEADER < LOCKERD_BLE_VALUE_MAX ? mtu - NOTIFICATION_HEADER
                                                                         : LOCKERD_BLE_VALUE_MAX) -
                      LOCKERD_BLE_OUT_HEADER;
        if (phone->state != PHONE_IDLE)
                return;
        phone->number = new_number(p);
        phone->turn = ++p->turns;
        bool free = count(p, PHONE_SERVED) < p->served_max && !count(p, PHONE_WAITING);
        become(phone, free ? PHONE_SERVED : PHONE_WAITING, now);
}

void phones_ended(Phones *p, Phone *phone, uint64_t now) {
        (void)p;
        become(phone, PHONE_IDLE, now);
}

static Phone *first_waiting(Phones *p) {
        Phone *first = NULL;

        for (unsigned i = 0; i < PHONES_MAX; i++) {
                Phone *phone = &p->phones[i];
                if (*phone->device && phone->state == PHONE_WAITING && (!first || phone->turn < first->turn))
                        first = phone;
        }
        return first;
}

Phone *phones_next(Phones *p, uint64_t now) {
        Phone *next = count(p, PHONE_SERVED) < p->served_max ? first_waiting(p) : NULL;

        if (next)
                become(next, PHONE_SERVED, now);
        return next;
}

unsigned phones_ahead(const Phones *p, const Phone *phone) {
        unsigned n = 0;

        if (phone->state != PHONE_WAITING)
                return 0;
        for (unsigned i = 0; i < PHONES_MAX; i++) {
                const Phone *other = &p->phones[i];
                n += *other->device && other->state == PHONE_WAITING && other->turn < phone->turn;
        }
        return n;
}

Phone *phones_overdue(Phones *p, uint64_t now) {
        for (unsigned i = 0; i < PHONES_MAX; i++) {
                Phone *phone = &p->phones[i];
                if (!*phone->device || phone->state != PHONE_IDLE || phone->told || now - phone->since < IDLE)
                        continue;
                phone->told = true;
                return phone;
        }
        return NULL;
}

uint64_t phones_due(const Phones *p) {
        uint64_t due = UINT64_MAX;

        for (unsigned i = 0; i < PHONES_MAX; i++) {
                const Phone *phone = &p->phones[i];
                if (*phone->device && phone->state == PHONE_IDLE && !phone->told && phone->since + IDLE < due)
                        due = phone->since + IDLE;
        }
        return due;
}
