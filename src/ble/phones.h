/* SPDX-License-Identifier: Apache-2.0 */
/* Who is connected, whose stream is carried, and who waits for a place. Pure: what happens is told by
 * functions, with the time; the streams themselves are the caller's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHONES_MAX        16 /* connected at a time, more than adapters can */
#define PHONES_SERVED_MAX 8  /* the most that may be configured */
#define PHONE_DEVICE_MAX  96 /* D-Bus path of the phone at BlueZ, with the NUL */

typedef enum PhoneState {
        PHONE_IDLE,    /* connected; it has not asked for a stream, or its stream has ended */
        PHONE_WAITING, /* for a place */
        PHONE_SERVED,
        PHONE_STATE_MAX,
} PhoneState;

typedef struct Phone {
        char device[PHONE_DEVICE_MAX]; /* "": this place is free */
        PhoneState state;
        uint8_t number;  /* of its stream, 1…255; 0: it has not asked for one */
        uint8_t in, out; /* counts of the next fragments */
        uint64_t since;  /* boot µs of the last change of state */
        uint64_t turn;   /* order of those that wait */
        bool told;       /* idle for too long: its disconnection has been asked for */
        unsigned most;   /* bytes in one fragment that it can take */
} Phone;

typedef struct Phones {
        Phone phones[PHONES_MAX];
        unsigned served_max; /* 1…PHONES_SERVED_MAX */
        uint8_t last_number;
        uint64_t turns;
} Phones;

Phone *phones_find(Phones *p, const char *device);
/* NULL: the path is too long, or all places are taken. A phone that is known stays as it is. */
Phone *phones_connected(Phones *p, const char *device, uint64_t now);
void phones_gone(Phones *p, Phone *phone);
/* It asks for a stream, and has a number afterwards; of one that waits or is served nothing changes but
 * `mtu` (bytes, as negotiated; what is out of range counts as 23). Served, if there is a place and nobody
 * waits for it; phones_next() then returns others first. */
void phones_ask(Phones *p, Phone *phone, unsigned mtu, uint64_t now);
/* Its stream has ended. */
void phones_ended(Phones *p, Phone *phone, uint64_t now);
/* The one that has waited longest, when there is a place: it is served from now on. NULL: nobody. */
Phone *phones_next(Phones *p, uint64_t now);
/* How many wait before it. */
unsigned phones_ahead(const Phones *p, const Phone *phone);
/* One that has been idle for too long, once; NULL: none. */
Phone *phones_overdue(Phones *p, uint64_t now);
/* When there will be such a one: boot µs, UINT64_MAX: never. */
uint64_t phones_due(const Phones *p);
