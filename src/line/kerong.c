/* SPDX-License-Identifier: Apache-2.0 */
/* Kerong CU12 and CU16: 02 ADDR CMD 03 SUM, where ADDR is the board's number in its upper and a lock's in its
 * lower four bits, and SUM the sum of all bytes before it. The one response that boards give is their status:
 * 02 ADDR 35, two bytes with a bit for each lock (1: hooked), two with a bit for each infrared sensor, 03
 * SUM.
 *
 * A request's members: unit, function (the command), address (the lock). Whether an unlock is responded to
 * differs between firmwares: a response is waited for and not missed. */
#include "line/driver.h"

#include <string.h>

#define START  0x02
#define END    0x03
#define STATUS 0x30
#define UNLOCK 0x31
#define TOLD   0x35 /* the response */

#define FRAME     5 /* without data */
#define DATA      4
#define RESPONSE  (FRAME + DATA)
#define LOCK_MASK 0x0F

static uint8_t sum(const uint8_t *bytes, size_t n) {
        uint8_t s = 0;

        for (size_t i = 0; i < n; i++)
                s = (uint8_t)(s + bytes[i]);
        return s;
}

static bool is_ours(const Request *q) {
        return (q->function == STATUS || q->function == UNLOCK) && q->unit <= LOCK_MASK &&
               q->address <= LOCK_MASK;
}

static uint8_t board_and_lock(const Request *q) {
        return (uint8_t)(q->unit << 4 | (q->address & LOCK_MASK));
}

static size_t build(Framing framing, const Request *q, uint8_t ret[REQUEST_MAX]) {
        const uint8_t frame[] = {START, board_and_lock(q), q->function, END};

        memcpy(ret, frame, sizeof(frame));
        ret[sizeof(frame)] = sum(frame, sizeof(frame));
        return FRAME;
}

static size_t answer_length(Framing framing, const Request *q) {
        return is_ours(q) ? RESPONSE : 0;
}

/* An unlock's response may name the lock or only the board. */
static bool is_addressed(const Request *q, uint8_t address) {
        return address >> 4 == q->unit &&
               ((address & LOCK_MASK) == 0 || (q->function == UNLOCK && (address & LOCK_MASK) == q->address));
}

static Verdict judge(Framing framing, const Request *q, const uint8_t *bytes, size_t n, Answer *ret) {
        if (!is_ours(q))
                return ANSWER_DAMAGED;
        if ((n > 0 && bytes[0] != START) || (n > 1 && !is_addressed(q, bytes[1])) ||
            (n > 2 && bytes[2] != TOLD))
                return ANSWER_FOREIGN;
        if (n < RESPONSE)
                return ANSWER_INCOMPLETE;
        if (n > RESPONSE || bytes[RESPONSE - 2] != END || bytes[RESPONSE - 1] != sum(bytes, RESPONSE - 1))
                return ANSWER_DAMAGED;
        *ret = (Answer){.data = bytes + 3, .n_data = DATA};
        return ANSWER_GOOD;
}

static bool same_shape(const Request *a, const Request *b) {
        return a->unit == b->unit;
}

static bool is_whole(const uint8_t *bytes, size_t n) {
        return n >= FRAME && bytes[0] == START && bytes[n - 2] == END && bytes[n - 1] == sum(bytes, n - 1);
}

static bool same_refusal(const Request *a, const Request *b) {
        return false; /* boards do not refuse, they are silent */
}

static bool may_be_silent(const Request *q) {
        return q->function == UNLOCK;
}

static void energise(const WireProfile *p, uint8_t unit, unsigned channel, unsigned pulse_ms, Request *ret) {
        *ret = (Request){.unit = unit, .function = UNLOCK, .address = (uint16_t)channel};
}

static bool status(const WireProfile *p, uint8_t unit, unsigned part, Request *ret) {
        *ret = (Request){.unit = unit, .function = STATUS};
        return part == 0;
}

static void values(const WireProfile *p, const Request *q, const Answer *a, uint8_t bits[WIRE_CHANNELS / 8],
                   uint8_t mask[WIRE_CHANNELS / 8]) {
        memcpy(bits, a->data, DATA);
        driver_mask(mask, p->inputs);
}

static bool spacer(const WireProfile *p, const Request *inputs, Request *ret) {
        return false;
}

const BoardDriver kerong_driver = {
        .protocol = BOARD_KERONG,
        .agreeing = 2,
        .build = build,
        .answer_length = answer_length,
        .judge = judge,
        .same_shape = same_shape,
        .same_refusal = same_refusal,
        .is_whole = is_whole,
        .is_silence = driver_has_no_gateway,
        .may_be_silent = may_be_silent,
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
