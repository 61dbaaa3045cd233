/* SPDX-License-Identifier: Apache-2.0 */
#include "line/modbus.h"

#include <string.h>

#define TCP_HEAD       6 /* transaction, protocol, length; the unit counts as body */
#define RTU_TAIL       2
#define EXCEPTION_BODY 3
#define READ_MAX       2000

uint16_t modbus_crc(const uint8_t *bytes, size_t n) {
        uint16_t crc = 0xFFFF;

        for (size_t i = 0; i < n; i++) {
                crc ^= bytes[i];
                for (int k = 0; k < 8; k++)
                        crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
        }
        return crc;
}

void modbus_body(const Request *q, uint8_t ret[MODBUS_BODY]) {
        ret[0] = q->unit;
        ret[1] = q->function;
        ret[2] = (uint8_t)(q->address >> 8);
        ret[3] = (uint8_t)q->address;
        ret[4] = (uint8_t)(q->value >> 8);
        ret[5] = (uint8_t)q->value;
}

static size_t build(Framing framing, const Request *q, uint8_t ret[REQUEST_MAX]) {
        if (framing == FRAMING_TCP) {
                static const uint8_t head[TCP_HEAD] = {0, 0, 0,
                                                       0, 0, MODBUS_BODY}; /* transaction, protocol, length */

                memcpy(ret, head, TCP_HEAD);
                modbus_body(q, ret + TCP_HEAD);
                return TCP_HEAD + MODBUS_BODY;
        }
        modbus_body(q, ret);
        uint16_t crc = modbus_crc(ret, MODBUS_BODY);
        ret[MODBUS_BODY] = (uint8_t)crc;
        ret[MODBUS_BODY + 1] = (uint8_t)(crc >> 8);
        return MODBUS_BODY + RTU_TAIL;
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
                return MODBUS_BODY;
        default:
                return 0;
        }
}

static size_t answer_length(Framing framing, const Request *q) {
        size_t body = good_body(q);

        return body ? body + (framing == FRAMING_TCP ? TCP_HEAD : RTU_TAIL) : 0;
}

/* Function byte onwards, as far as it has arrived; `good` is the length of the good body. */
static Verdict check_body(const Request *q, const uint8_t *body, size_t n, size_t good) {
        uint8_t request[MODBUS_BODY];

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
                modbus_body(q, request);
                if (memcmp(body, request, n < good ? n : good) != 0)
                        return ANSWER_FOREIGN;
        } else if (n >= 3 && body[2] != good - 3)
                return ANSWER_FOREIGN;
        return n < good ? ANSWER_INCOMPLETE : ANSWER_GOOD;
}

static Verdict judge(Framing framing, const Request *q, const uint8_t *bytes, size_t n, Answer *ret) {
        size_t head = framing == FRAMING_TCP ? TCP_HEAD : 0, tail = framing == FRAMING_SERIAL ? RTU_TAIL : 0;
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
        if (tail && modbus_crc(body, want) != (body[want] | body[want + 1] << 8))
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

static bool same_shape(const Request *a, const Request *b) {
        if (a->unit != b->unit || a->function != b->function)
                return false;
        if (a->function == MODBUS_WRITE_COIL)
                return a->address == b->address && a->value == b->value;
        return good_body(a) == good_body(b);
}

/* An exception does not say which request of its function it refuses. */
static bool same_refusal(const Request *a, const Request *b) {
        return a->unit == b->unit && a->function == b->function;
}

static bool is_whole(const uint8_t *bytes, size_t n) {
        return n > RTU_TAIL && modbus_crc(bytes, n - RTU_TAIL) == (bytes[n - 2] | bytes[n - 1] << 8);
}

static bool is_passing(uint8_t exception, bool *ret_done) {
        *ret_done = exception == MODBUS_FAILURE || exception == MODBUS_ACKNOWLEDGED;
        return *ret_done || exception == MODBUS_BUSY;
}

static bool is_silence(Framing framing, uint8_t exception) {
        return framing == FRAMING_TCP &&
               (exception == MODBUS_GATEWAY_PATH || exception == MODBUS_GATEWAY_BOARD);
}

static Request write_coil(uint8_t unit, uint32_t address, uint32_t value) {
        return (Request){unit, MODBUS_WRITE_COIL, (uint16_t)address, (uint16_t)value};
}

static void energise(const WireProfile *p, uint8_t unit, unsigned channel, unsigned pulse_ms, Request *ret) {
        if (p->unlock != UNLOCK_FLASH) {
                *ret = write_coil(unit, p->coil_base + channel, p->on_value);
                return;
        }
        unsigned units = pulse_ms / MAX(p->flash_unit_ms, 1u);
        *ret = write_coil(unit, p->flash_base + channel, MAX(MIN(units, 0x7FFFu), 1u));
}

static bool off(const WireProfile *p, uint8_t unit, unsigned channel, Request *ret) {
        *ret = write_coil(unit, p->coil_base + channel, p->off_value);
        return true;
}

static bool all_off(const WireProfile *p, uint8_t unit, unsigned step, Request *ret) {
        if (p->all_off == ALL_OFF_COIL && step == 0) {
                *ret = write_coil(unit, p->all_off_address, p->all_off_value);
                return true;
        }
        return p->all_off == ALL_OFF_EACH && step < p->outputs && off(p, unit, step, ret);
}

static bool status(const WireProfile *p, uint8_t unit, unsigned part, Request *ret) {
        if (!p->input_function || !p->inputs || part > 0)
                return false;
        *ret = (Request){unit, (uint8_t)p->input_function, (uint16_t)p->input_base, (uint16_t)p->inputs};
        return true;
}

static void values(const WireProfile *p, const Request *q, const Answer *a, uint8_t bits[WIRE_CHANNELS / 8],
                   uint8_t mask[WIRE_CHANNELS / 8]) {
        memcpy(bits, a->data, MIN(a->n_data, (size_t)WIRE_CHANNELS / 8));
        driver_mask(mask, p->inputs);
}

static bool coils(const WireProfile *p, uint8_t unit, Request *ret) {
        if (!p->coil_function || !p->outputs)
                return false;
        *ret = (Request){unit, (uint8_t)p->coil_function, (uint16_t)p->coil_base, (uint16_t)p->outputs};
        return true;
}

static bool spacer(const WireProfile *p, const Request *inputs, Request *ret) {
        Request coil;

        if (coils(p, inputs->unit, &coil) && !same_shape(inputs, &coil)) {
                *ret = coil;
                return true;
        }
        if (inputs->value <= 8)
                return false;
        *ret = *inputs;
        ret->value = (uint16_t)(inputs->value - 8);
        return true;
}

static Request identity_register(const WireProfile *p, uint8_t unit) {
        return (Request){unit, (uint8_t)p->identify_function, (uint16_t)p->identify_address, 1};
}

/* One input beyond the last, which must be refused. */
static Request beyond_inputs(const WireProfile *p, uint8_t unit) {
        return (Request){unit, (uint8_t)p->input_function, (uint16_t)(p->input_base + p->inputs), 1};
}

static bool identify(const WireProfile *p, uint8_t unit, unsigned step, Request *ret, bool *ret_refusal) {
        *ret_refusal = false;
        if (p->identify_function && step-- == 0) {
                *ret = identity_register(p, unit);
                return true;
        }
        if (p->identify_limit && p->input_function && step-- == 0) {
                *ret = beyond_inputs(p, unit);
                *ret_refusal = true;
                return true;
        }
        return step == 0 && coils(p, unit, ret);
}

static const char *recognise(const WireProfile *p, const Request *q, const Answer *a) {
        Request identity = identity_register(p, q->unit), beyond = beyond_inputs(p, q->unit);

        if (p->identify_function && request_equal(q, &identity)) {
                if (a->exception)
                        return "has no identity register: it is another kind of board";
                unsigned value = (unsigned)a->data[0] << 8 | a->data[1];
                return value >= p->identify_min && value <= p->identify_max
                               ? NULL
                               : "identifies itself as another kind of board";
        }
        if (p->identify_limit && request_equal(q, &beyond)) {
                if (!a->exception)
                        return "has more inputs than its profile: it is a bigger board";
                return a->exception == MODBUS_BAD_ADDRESS
                               ? NULL
                               : "refuses an input beyond its last in an unexpected way";
        }
        return a->exception ? "has fewer coils than its profile" : NULL;
}

const BoardDriver modbus_driver = {
        .protocol = BOARD_MODBUS,
        .agreeing = 2,
        .build = build,
        .answer_length = answer_length,
        .judge = judge,
        .same_shape = same_shape,
        .same_refusal = same_refusal,
        .is_whole = is_whole,
        .is_passing = is_passing,
        .is_silence = is_silence,
        .energise = energise,
        .off = off,
        .all_off = all_off,
        .status = status,
        .values = values,
        .spacer = spacer,
        .coils = coils,
        .identify = identify,
        .recognise = recognise,
};
