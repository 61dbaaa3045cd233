/* SPDX-License-Identifier: Apache-2.0 */
/* Winnsen: 90 06 FN ST LK 03, responded to by 90 07 FN+80 ST LK VV 03. FN 05 unlocks, FN 12 asks for a lock's
 * state (VV 01: open, 00: shut); locks count from 1 and are asked one by one. There is no checksum: what can
 * be told from damage is that everything but VV is known beforehand, and that three responses agree.
 *
 * A request's members: unit (ST), function (FN), address (the lock, from 0), value (an unlock's pulse in ms).
 * Some boards respond to an unlock only after its pulse, with what the lock does then: 00 is no refusal. */
#include "line/driver.h"

#include <string.h>

#define START    0x90
#define END      0x03
#define UNLOCK   0x05
#define STATUS   0x12
#define RESPONSE 0x80 /* added to the function */
#define RESTING  0x02 /* an unlock's response: the board spares the lock and has not energised it */

#define REQUEST_SIZE  6
#define RESPONSE_SIZE 7
#define VALUE         5

static bool is_ours(const Request *q) {
        return (q->function == UNLOCK || q->function == STATUS) && q->address < 255;
}

static size_t build(Framing framing, const Request *q, uint8_t ret[REQUEST_MAX]) {
        const uint8_t frame[REQUEST_SIZE] = {
                START, REQUEST_SIZE, q->function, q->unit, (uint8_t)(q->address + 1), END};

        memcpy(ret, frame, sizeof(frame));
        return sizeof(frame);
}

static size_t answer_length(Framing framing, const Request *q) {
        return is_ours(q) ? RESPONSE_SIZE : 0;
}

static Verdict judge(Framing framing, const Request *q, const uint8_t *bytes, size_t n, Answer *ret) {
        const uint8_t head[VALUE] = {START, RESPONSE_SIZE, (uint8_t)(q->function | RESPONSE), q->unit,
                                     (uint8_t)(q->address + 1)};

        if (!is_ours(q))
                return ANSWER_DAMAGED;
        if (memcmp(bytes, head, MIN(n, sizeof(head))) != 0)
                return ANSWER_FOREIGN;
        if (n < RESPONSE_SIZE)
                return ANSWER_INCOMPLETE;
        if (n > RESPONSE_SIZE || bytes[RESPONSE_SIZE - 1] != END)
                return ANSWER_DAMAGED;
        *ret = (Answer){0};
        if (q->function == UNLOCK && bytes[VALUE] == RESTING) {
                ret->exception = RESTING;
                return ANSWER_EXCEPTION;
        }
        if (bytes[VALUE] > 1)
                return ANSWER_DAMAGED;
        ret->data = bytes + VALUE;
        ret->n_data = 1;
        return ANSWER_GOOD;
}

static bool same_shape(const Request *a, const Request *b) {
        return a->unit == b->unit && a->function == b->function && a->address == b->address;
}

static bool is_whole(const uint8_t *bytes, size_t n) {
        return n >= REQUEST_SIZE && bytes[0] == START && bytes[1] == n && bytes[n - 1] == END;
}

static unsigned extra_ms(const Request *q) {
        return q->function == UNLOCK ? q->value : 0;
}

static void energise(const WireProfile *p, uint8_t unit, unsigned channel, unsigned pulse_ms, Request *ret) {
        *ret = (Request){
                .unit = unit, .function = UNLOCK, .address = (uint16_t)channel, .value = (uint16_t)pulse_ms};
}

static bool status(const WireProfile *p, uint8_t unit, unsigned part, Request *ret) {
        *ret = (Request){.unit = unit, .function = STATUS, .address = (uint16_t)part};
        return part < p->inputs;
}

static void values(const WireProfile *p, const Request *q, const Answer *a, uint8_t bits[WIRE_CHANNELS / 8],
                   uint8_t mask[WIRE_CHANNELS / 8]) {
        uint8_t bit = (uint8_t)(1u << q->address % 8);

        mask[q->address / 8] = bit;
        bits[q->address / 8] = a->data[0] ? bit : 0;
}

static bool spacer(const WireProfile *p, const Request *inputs, Request *ret) {
        *ret = *inputs;
        ret->address = (uint16_t)((inputs->address + 1) % MAX(p->inputs, 1u));
        return p->inputs > 1;
}

const BoardDriver winnsen_driver = {
        .protocol = BOARD_WINNSEN,
        .agreeing = 3,
        .build = build,
        .answer_length = answer_length,
        .judge = judge,
        .same_shape = same_shape,
        .same_refusal = same_shape,
        .is_whole = is_whole,
        .is_silence = driver_has_no_gateway,
        .extra_ms = extra_ms,
        .energise = energise,
        .off = driver_has_no_off,
        .all_off = driver_has_no_off,
        .status = status,
        .values = values,
        .spacer = spacer,
        .coils = driver_has_no_coils,
        .identify = driver_has_no_identity,
        .recognise = driver_recognises_everything,
};
