/* SPDX-License-Identifier: Apache-2.0 */
/* One question and its answer, with everything design rule 6 asks: flush and silence before, a deadline for
 * the whole answer, silence after. What the outcome means for a board is the worker's business. */
#pragma once

#include "line/port.h"

typedef enum Outcome {
        EXCHANGE_GOOD,
        EXCHANGE_EXCEPTION,
        EXCHANGE_TIMEOUT, /* nothing came */
        EXCHANGE_DAMAGED, /* something came that is not believed */
        EXCHANGE_BROKEN,  /* the device or connection is gone */
} Outcome;

typedef struct Exchange {
        Outcome outcome;
        bool sent;     /* at least a part of the question may have gone out */
        bool in_step;  /* the connection is still good for the next question (TCP) */
        bool answered; /* the answer has come, if not a good one: it is not still on its way (serial lines) */
        Oddity oddity; /* what the bytes that came have to do with the response */
        unsigned n_odd;    /* … how many were too many */
        bool late;         /* before the request, the response to the former one came, after its time … */
        uint8_t late_unit; /* … from this board */
        uint8_t exception;
        uint8_t data[ANSWER_MAX];
        size_t n_data;
        uint64_t sent_at;  /* boot µs at which the question was handed to the device */
        uint64_t first_at; /* boot µs at which the first byte was there; 0: it was not waited for */
        uint64_t at;       /* boot µs of the answer, or at which the exchange was given up */
} Exchange;

/* Waits until `fd` is readable (1) or `until` has come (0); meanwhile looks after whatever else the caller
 * has. */
typedef int (*ExchangeWait)(void *userdata, int fd, uint64_t until);

typedef struct ExchangeLimits {
        uint64_t send_before;  /* boot µs from which the question must not go out any more */
        uint64_t wait_at_most; /* µs after sending at which no answer is waited for, even before the response
                                  timeout */
        /* µs from sending to the first byte of the response as it was before; 0: not known, or somebody waits
         * for the response. Else rather few wake-ups than its first moment: it is read when all of it should
         * be there, and the silence behind it is a part of that wait. */
        uint64_t latency;
} ExchangeLimits;

#define EXCHANGE_UNLIMITED                                                  \
        (ExchangeLimits) {                                                  \
                .send_before = USEC_INFINITY, .wait_at_most = USEC_INFINITY \
        }

void exchange_run(Port *p, const Request *q, ExchangeLimits limits, ExchangeWait wait, void *userdata,
                  Exchange *ret);
