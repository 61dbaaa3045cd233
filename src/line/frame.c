/* SPDX-License-Identifier: Apache-2.0 */
#include "line/frame.h"

#include <string.h>

#define TCP_HEAD       6 /* transaction, protocol, length; the unit counts as body */
#define RTU_TAIL       2
#define EXCEPTION_BODY 3
#define READ_MAX       2000

uint16_t frame_crc(const uint8_t *bytes, size_t n) {
        uint16_t crc = 0xFFFF;

        for (size_t i = 0; i < n; i++) {
                crc ^= bytes[i];
                for (int k = 0; k < 8; k++)
                        crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
        }
        return crc;
}

void request_build(const Request *q, uint8_t ret[REQUEST_SIZE]) {
        ret[0] = q->unit;
        ret[1] = q->function;
        ret[2] = (uint8_t)(q->address >> 8);
        ret[3] = (uint8_t)q->address;
        ret[4] = (uint8_t)(q->value >> 8);
        ret[5] = (uint8_t)q->value;
}

/* Unit, function and what follows, without header and checksum. */
static size_t good_body(const Request *q) {
        switch (q->function) {
        case MODBUS_READ_COILS:
        case MODBUS_READ_INPUTS:
                return q->value > 0 && q->value <= READ_MAX ? 3 + (q->value + 7u) / 8 : 0;
        case MODBUS_READ_HOLDING:
        case MODBUS_READ_INPUT:
                return q->value > 0 && q->value <= 125 ? 3 + 2u * q->value : 0;
        case MODBUS_WRITE_COIL:
                return REQUEST_SIZE;
        default:
                return 0;
        }
}

size_t request_answer_length(Framing framing, const Request *q) {
        size_t body = good_body(q);

        return body ? body + (framing == FRAMING_TCP ? TCP_HEAD : RTU_TAIL) : 0;
}

/* Function byte onwards, as far as it has arrived; `good` is the length of the good body. */
static Verdict check_body(const Request *q, const uint8_t *body, size_t n, size_t good) {
        uint8_t request[REQUEST_SIZE];

        if (n >= 1 && body[0] != q->unit)
                return ANSWER_FOREIGN;
        if (n < 2)
                return ANSWER_INCOMPLETE;
        if (body[1] == (q->function | 0x80)) {
                if (n < EXCEPTION_BODY)
                        return ANSWER_INCOMPLETE;
                return body[2] ? ANSWER_EXCEPTION : ANSWER_DAMAGED;
        }
        if (body[1] != q->function)
                return ANSWER_FOREIGN;
        if (q->function == MODBUS_WRITE_COIL) {
                request_build(q, request);
                if (memcmp(body, request, n < good ? n : good) != 0)
                        return ANSWER_FOREIGN;
        } else if (n >= 3 && body[2] != good - 3)
                return ANSWER_FOREIGN;
        return n < good ? ANSWER_INCOMPLETE : ANSWER_GOOD;
}

Verdict answer_check(Framing framing, const Request *q, const uint8_t *bytes, size_t n, Answer *ret) {
        size_t head = framing == FRAMING_TCP ? TCP_HEAD : 0, tail = framing == FRAMING_RTU ? RTU_TAIL : 0;
        size_t good = good_body(q);

        if (!good)
                return ANSWER_DAMAGED;
        /* Raw requests go out with transaction 0 and protocol 0. */
        for (size_t i = 0; i < head && i < 4 && i < n; i++)
                if (bytes[i] != 0)
                        return ANSWER_FOREIGN;
        if (n <= head)
                return ANSWER_INCOMPLETE;

        const uint8_t *body = bytes + head;
        Verdict v = check_body(q, body, n - head, good);
        if (v != ANSWER_GOOD && v != ANSWER_EXCEPTION)
                return v;

        size_t want = v == ANSWER_GOOD ? good : EXCEPTION_BODY;
        if (head && ((size_t)bytes[4] << 8 | bytes[5]) != want)
                return ANSWER_DAMAGED;
        if (n < head + want + tail)
                return ANSWER_INCOMPLETE;
        if (n > head + want + tail)
                return ANSWER_DAMAGED;
        if (tail && frame_crc(body, want) != (body[want] | body[want + 1] << 8))
                return ANSWER_DAMAGED;

        *ret = (Answer){0};
        if (v == ANSWER_EXCEPTION)
                ret->exception = body[2];
        else if (q->function != MODBUS_WRITE_COIL) {
                ret->data = body + 3;
                ret->n_data = good - 3;
        }
        return v;
}

bool request_same_shape(const Request *a, const Request *b) {
        if (a->unit != b->unit || a->function != b->function)
                return false;
        if (a->function == MODBUS_WRITE_COIL)
                return a->address == b->address && a->value == b->value;
        return good_body(a) == good_body(b);
}
