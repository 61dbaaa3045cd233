/* SPDX-License-Identifier: Apache-2.0 */
/* Which answers of one board cannot be believed now. A serial answer carries no number: when one is missing
 * or damaged, it may still come and would pass for the answer to the next question of the same shape. Pure.
 */
#pragma once

#include "base/clock.h"
#include "line/driver.h"

#define DOUBTS_MAX 8

typedef struct Doubts {
        const BoardDriver *driver;
        struct {
                Request request;
                uint64_t until; /* boot µs */
        } entry[DOUBTS_MAX];
        uint64_t all_until; /* when there are more than fit: everything */
} Doubts;

void doubts_add(Doubts *d, const Request *q, uint64_t now, uint64_t until);
/* The board has given a good answer to `answered`, which was asked later than `former`: a serial line hands
 * over what a board says in its order, so the answer to `former` does not come any more. Not where it would
 * pass for the one to `answered`: then that may have been it. */
void doubts_overtaken(Doubts *d, const Request *former, const Request *answered);
/* Boot µs from which an answer to `q` can be believed; not after `now` when it can be already. */
uint64_t doubts_until(const Doubts *d, const Request *q);
/* The same for an exception: it does not say which question of its function it refuses. */
uint64_t doubts_exception_until(const Doubts *d, const Request *q);
