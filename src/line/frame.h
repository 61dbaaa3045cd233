/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a board and the judgement of what came back. Pure, and the only place that decides whether
 * bytes are the answer to a question: libmodbus takes another board's, another coil's and a former answer for
 * the right one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODBUS_READ_COILS    1
#define MODBUS_READ_INPUTS   2
#define MODBUS_READ_HOLDING  3
#define MODBUS_READ_INPUT    4
#define MODBUS_WRITE_COIL    5
#define MODBUS_BAD_ADDRESS   2  /* exception: no such channel */
#define MODBUS_GATEWAY_PATH  10 /* exceptions of a gateway, not of the board */
#define MODBUS_GATEWAY_BOARD 11

#define REQUEST_SIZE 6   /* unit, function, address, value; checksum or header are added by libmodbus */
#define ANSWER_MAX   260 /* the longest frame of either framing */

typedef enum Framing { FRAMING_RTU, FRAMING_TCP } Framing;

typedef struct Request {
        uint8_t unit, function;
        uint16_t address;
        uint16_t value; /* reads: how many; FC05: what to write */
} Request;

typedef enum Verdict {
        ANSWER_GOOD,
        ANSWER_EXCEPTION,
        ANSWER_INCOMPLETE, /* so far it could become the answer */
        ANSWER_FOREIGN,    /* the answer to another question: ours may still come */
        ANSWER_DAMAGED,    /* checksum, or more bytes than an answer has */
} Verdict;

typedef struct Answer {
        uint8_t exception;   /* 1 … when ANSWER_EXCEPTION */
        const uint8_t *data; /* reads: the payload, points into the bytes judged */
        size_t n_data;
} Answer;

void request_build(const Request *q, uint8_t ret[REQUEST_SIZE]);
/* Bytes of the good answer on the wire; 0 for a function that is not ours. */
size_t request_answer_length(Framing framing, const Request *q);
/* `ret` is filled for GOOD and EXCEPTION only. */
Verdict answer_check(Framing framing, const Request *q, const uint8_t *bytes, size_t n, Answer *ret);
/* Would the right answer to `a` pass for an answer to `b`? */
bool request_same_shape(const Request *a, const Request *b);
uint16_t frame_crc(const uint8_t *bytes, size_t n);
