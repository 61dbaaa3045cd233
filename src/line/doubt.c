/* SPDX-License-Identifier: Apache-2.0 */
#include "line/doubt.h"
#include "base/macros.h"

void doubts_add(Doubts *d, const Request *q, uint64_t now, uint64_t until) {
        for (size_t i = 0; i < DOUBTS_MAX; i++)
                if (d->entry[i].until > now && d->driver->same_shape(&d->entry[i].request, q)) {
                        d->entry[i].until = MAX(d->entry[i].until, until);
                        return;
                }
        for (size_t i = 0; i < DOUBTS_MAX; i++)
                if (d->entry[i].until <= now) {
                        d->entry[i].request = *q;
                        d->entry[i].until = until;
                        return;
                }
        d->all_until = MAX(d->all_until, until);
}

void doubts_overtaken(Doubts *d, const Request *former, const Request *answered) {
        for (size_t i = 0; i < DOUBTS_MAX; i++)
                if (request_equal(&d->entry[i].request, former) && !d->driver->same_shape(former, answered))
                        d->entry[i].until = 0;
}

uint64_t doubts_until(const Doubts *d, const Request *q) {
        uint64_t until = d->all_until;

        for (size_t i = 0; i < DOUBTS_MAX; i++)
                if (d->entry[i].until && d->driver->same_shape(&d->entry[i].request, q))
                        until = MAX(until, d->entry[i].until);
        return until;
}

uint64_t doubts_exception_until(const Doubts *d, const Request *q) {
        uint64_t until = d->all_until;

        for (size_t i = 0; i < DOUBTS_MAX; i++)
                if (d->entry[i].until && d->driver->same_refusal(&d->entry[i].request, q))
                        until = MAX(until, d->entry[i].until);
        return until;
}
