/* SPDX-License-Identifier: Apache-2.0 */
#include "line/adapter.h"

#include <string.h>

void asked_make(Asked *a, const BoardDriver *driver, Framing framing, const Request *q) {
        *a = (Asked){.driver = driver, .framing = framing, .request = *q};
        a->n = driver->build(framing, q, a->bytes);
}

static size_t before(const Adapter *adapter, const Asked *a) {
        return (adapter->echo ? a->n : 0) + adapter->front;
}

const uint8_t *adapter_response(const Adapter *adapter, const Asked *a, const uint8_t *bytes, size_t n,
                                size_t *ret_n) {
        size_t head = before(adapter, a);

        *ret_n = n > head + adapter->back ? n - head - adapter->back : 0;
        return bytes + (n > head ? head : n);
}

Verdict adapter_judge(const Adapter *adapter, const Asked *a, const uint8_t *bytes, size_t n, Answer *ret) {
        size_t left;
        const uint8_t *response = adapter_response(adapter, a, bytes, n, &left);

        if (adapter->echo && memcmp(bytes, a->bytes, n < a->n ? n : a->n) != 0)
                return ANSWER_DAMAGED;
        return left > 0 ? a->driver->judge(a->framing, &a->request, response, left, ret) : ANSWER_INCOMPLETE;
}

static bool is_response(const Asked *a, Framing framing, const uint8_t *bytes, size_t n) {
        Answer answer;

        if (n == 0)
                return false;
        Verdict v = a->driver->judge(framing, &a->request, bytes, n, &answer);
        return v == ANSWER_GOOD || v == ANSWER_EXCEPTION;
}

/* A write of Modbus is confirmed by its own bytes: that is no echo, but twice the same is. */
static bool is_echo(const Asked *a, const uint8_t *bytes, size_t n) {
        if (n < a->n || memcmp(bytes, a->bytes, a->n) != 0)
                return false;
        return n > a->n || !is_response(a, a->framing, bytes, n);
}

Oddity adapter_diagnose(const Adapter *adapter, const Asked *a, const uint8_t *bytes, size_t n,
                        unsigned *ret_n) {
        size_t left;

        *ret_n = 0;
        if (a->framing == FRAMING_TCP)
                return is_response(a, FRAMING_SERIAL, bytes, n) ? ODDITY_BARE : ODDITY_NONE;
        if (!adapter->echo && is_echo(a, bytes, n))
                return ODDITY_ECHO;
        const Adapter known = {.echo = adapter->echo};
        const uint8_t *response = adapter_response(&known, a, bytes, n, &left);
        for (unsigned i = 1; i <= SURPLUS_MAX && i < left; i++) {
                *ret_n = i;
                if (i != adapter->front && is_response(a, a->framing, response + i, left - i))
                        return ODDITY_FRONT;
                if (i != adapter->back && is_response(a, a->framing, response, left - i))
                        return ODDITY_BACK;
        }
        *ret_n = 0;
        return ODDITY_NONE;
}
