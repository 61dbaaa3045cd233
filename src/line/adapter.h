/* SPDX-License-Identifier: Apache-2.0 */
/* What stands between the computer and its boards: adapters that let the master hear its own request, or add
 * bytes where the driver of an RS-485 line switches, and converters that do something else with the bytes
 * than is configured. Copes with the first two when told to, and recognises all of them. Pure. */
#pragma once

#include "line/driver.h"

#define SURPLUS_MAX 4

typedef struct Adapter {
        bool echo;            /* every request comes back before its response */
        unsigned front, back; /* so many bytes before and behind every response */
} Adapter;

/* The request that bytes are compared with, and how it went out. */
typedef struct Asked {
        const BoardDriver *driver;
        Framing framing;
        Request request;
        uint8_t bytes[REQUEST_MAX];
        size_t n;
} Asked;

/* What was between response and request. */
typedef enum Oddity {
        ODDITY_NONE,
        ODDITY_ECHO,
        ODDITY_FRONT, /* surplus bytes */
        ODDITY_BACK,
        ODDITY_LATE,   /* the response came after its time */
        ODDITY_BARE,   /* Modbus TCP is configured, and the converter passes on bytes */
        ODDITY_FRAMED, /* the other way round */
        ODDITY_MAX
} Oddity;

void asked_make(Asked *a, const BoardDriver *driver, Framing framing, const Request *q);
/* The response, as far as it has come: without echo and surplus bytes. */
const uint8_t *adapter_response(const Adapter *adapter, const Asked *a, const uint8_t *bytes, size_t n,
                                size_t *ret_n);
/* As the driver's judge(). */
Verdict adapter_judge(const Adapter *adapter, const Asked *a, const uint8_t *bytes, size_t n, Answer *ret);
/* Why bytes that are not the response nearly are. ret_n: how many are too many. */
Oddity adapter_diagnose(const Adapter *adapter, const Asked *a, const uint8_t *bytes, size_t n,
                        unsigned *ret_n);
