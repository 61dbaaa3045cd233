/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between the line worker and the languages of lock boards. A driver says how a request looks on the
 * wire, judges what came back, and knows which requests move a lock, read inputs and identify a board.
 * Drivers are pure: no descriptor, no clock. How a line is kept, what is asked when, and what an outcome
 * means for a board is the same for all of them and no driver's business.
 *
 * A board's channels count from 0 here as everywhere behind the configuration. */
#pragma once

#include "core/cabinet.h"
#include "lockwire/wire.h"

#include <stddef.h>

#define REQUEST_MAX 16  /* the longest request of any driver in any framing */
#define ANSWER_MAX  260 /* the longest response */

/* How a protocol's frames travel. Modbus has a framing of its own for TCP; everything else, and Modbus RTU
 * through a transparent converter, looks the same on a network as on a serial line. */
typedef enum Framing { FRAMING_SERIAL, FRAMING_TCP } Framing;

/* One request. What the members mean is the driver's business, except that two requests with equal members
 * are the same request. */
typedef struct Request {
        uint8_t unit, function;
        uint16_t address;
        uint16_t value;
} Request;

typedef enum Verdict {
        ANSWER_GOOD,
        ANSWER_EXCEPTION,  /* the board refuses */
        ANSWER_INCOMPLETE, /* so far it could become the response */
        ANSWER_FOREIGN,    /* the response to another request: ours may still come */
        ANSWER_DAMAGED,    /* wrong checksum, or more bytes than a response has */
} Verdict;

typedef struct Answer {
        uint8_t exception;   /* 1 … when ANSWER_EXCEPTION, else 0 */
        const uint8_t *data; /* reads: the payload, points into the bytes judged */
        size_t n_data;
} Answer;

typedef struct BoardDriver {
        BoardProtocol protocol;
        /* So many good responses in a row must agree before an input is believed: one alone may be shifted,
         * or damaged in a way that its checksum does not show. */
        unsigned agreeing;

        /* The whole request as it goes out; its length. */
        size_t (*build)(Framing framing, const Request *q, uint8_t ret[REQUEST_MAX]);
        /* Length of the good response on the wire; 0 for a request that is not this driver's. */
        size_t (*answer_length)(Framing framing, const Request *q);
        /* Are these bytes the response to `q`? The only place that decides it. `ret` is filled for GOOD and
         * EXCEPTION only. */
        Verdict (*judge)(Framing framing, const Request *q, const uint8_t *bytes, size_t n, Answer *ret);
        /* Would the right response to `a` pass for a response to `b`? */
        bool (*same_shape)(const Request *a, const Request *b);
        /* Would a refusal of `a` pass for one of `b`? */
        bool (*same_refusal)(const Request *a, const Request *b);
        /* Are these bytes one frame that is not damaged, whoever sent it and whatever it says? */
        bool (*is_whole)(const uint8_t *bytes, size_t n);
        /* The board cannot now; the same request may work in a moment. NULL: no exception says so. ret_done:
         * it may have done it all the same. */
        bool (*is_passing)(uint8_t exception, bool *ret_done);
        /* The exception says that no board responded: it comes from a gateway. */
        bool (*is_silence)(Framing framing, uint8_t exception);

        /* Boards need not respond to it: no response is no failure. NULL: they always do. */
        bool (*may_be_silent)(const Request *q);
        /* So many ms longer than the line's response timeout the board may take. NULL: no longer. */
        unsigned (*extra_ms)(const Request *q);

        /* Energises a channel for pulse_ms, or for the board's own time; a motor lock is secured by
         * energising its other channel. */
        void (*energise)(const WireProfile *p, uint8_t unit, unsigned channel, unsigned pulse_ms,
                         Request *ret);
        /* What switches off; false: there is no such request. all_off: step by step, false after the last. */
        bool (*off)(const WireProfile *p, uint8_t unit, unsigned channel, Request *ret);
        bool (*all_off)(const WireProfile *p, uint8_t unit, unsigned step, Request *ret);
        /* Reads inputs, in one part or several; false: there is no such part. */
        bool (*status)(const WireProfile *p, uint8_t unit, unsigned part, Request *ret);
        /* Sets the bits of the channels that this part tells in `mask` and their values in `bits`, both
         * cleared by the caller. */
        void (*values)(const WireProfile *p, const Request *q, const Answer *a,
                       uint8_t bits[WIRE_CHANNELS / 8], uint8_t mask[WIRE_CHANNELS / 8]);
        /* A harmless read whose response has another shape than that of `status`; false: there is none. */
        bool (*spacer)(const WireProfile *p, const Request *status, Request *ret);
        /* Reads back what is energised (payload: a bit for each output); false: boards cannot say. */
        bool (*coils)(const WireProfile *p, uint8_t unit, Request *ret);
        /* What tells a wrong board, step by step; false after the last. ret_refusal: it is the refusal that
         * counts. */
        bool (*identify)(const WireProfile *p, uint8_t unit, unsigned step, Request *ret, bool *ret_refusal);
        /* NULL, or what is wrong with the board: "has fewer coils …". */
        const char *(*recognise)(const WireProfile *p, const Request *q, const Answer *a);
} BoardDriver;

extern const BoardDriver modbus_driver, kerong_driver, winnsen_driver;

/* NULL: not spoken on a line. */
const BoardDriver *driver_of(uint32_t protocol);

static inline bool request_equal(const Request *a, const Request *b) {
        return a->unit == b->unit && a->function == b->function && a->address == b->address &&
               a->value == b->value;
}

/* For drivers that lack one or the other. */
bool driver_has_no_off(const WireProfile *p, uint8_t unit, unsigned channel, Request *ret);
bool driver_has_no_coils(const WireProfile *p, uint8_t unit, Request *ret);
bool driver_has_no_identity(const WireProfile *p, uint8_t unit, unsigned step, Request *ret,
                            bool *ret_refusal);
const char *driver_recognises_everything(const WireProfile *p, const Request *q, const Answer *a);
bool driver_has_no_gateway(Framing framing, uint8_t exception);
/* The first `n` bits. */
void driver_mask(uint8_t mask[WIRE_CHANNELS / 8], unsigned n);
