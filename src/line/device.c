/* SPDX-License-Identifier: Apache-2.0 */
/* The device of a serial line, which this process may not open itself: lockerd-open does. */
#include "base/opener_wire.h"
#include "line/worker.h"

#include <errno.h>

#define PATIENCE (3 * USEC_PER_SEC)

static int fetch(Worker *w) {
        uint64_t until = worker_now() + PATIENCE;
        int error = 0, device = -1, r = w->opener < 0 ? -ENOTCONN : opener_ask(w->opener);

        while (r == 0) {
                r = worker_wait(w, w->opener, until);
                if (r <= 0)
                        return r < 0 ? r : -ETIMEDOUT;
                r = opener_take(w->opener, &error, &device);
        }
        if (r == -EPIPE || r == -ECONNRESET) {
                /* It ended, and will not come back: neither may this process. */
                log_error("Line %s: lockerd-open has ended; leaving", w->line.name);
                w->end.leaving = true;
        }
        if (r < 0)
                return r;
        return error ? -error : device;
}

int line_open(Worker *w) {
        int device = -1;

        if (w->line.kind == LINE_SERIAL) {
                device = fetch(w);
                if (device < 0)
                        return device;
        }
        return port_open(&w->port, &w->line, w->driver, device);
}
