/* SPDX-License-Identifier: Apache-2.0 */
/* An answer of a name server, as the worker of the network reads it: what is taken of it are host names and
 * ports, and ordering them loses none. */
#include "base/macros.h"
#include "mqtt/srv.h"

#include <errno.h>
#include <stdbool.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good) {
        if (!good)
                abort();
}

static uint64_t largest(uint64_t n) {
        return n - 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        SrvList l = {.n = 0};
        uint32_t sum = 0, again = 0;
        int r = srv_read(data, size, &l);

        expect(r == 0 || ((r == -ENODATA || r == -ENOENT || r == -EBADMSG) && !l.n));
        if (r < 0)
                return 0;
        expect(l.n > 0 && l.n <= SRV_TARGETS_MAX);
        for (unsigned i = 0; i < l.n; i++) {
                expect(l.all[i].port && *l.all[i].host && strlen(l.all[i].host) <= SRV_HOST_MAX);
                for (const char *c = l.all[i].host; *c; c++)
                        expect((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                               (*c >= '0' && *c <= '9') || *c == '-' || *c == '_' || *c == '.');
                sum += l.all[i].port;
        }
        srv_order(&l, largest);
        for (unsigned i = 0; i < l.n; i++) {
                expect(i == 0 || l.all[i - 1].priority <= l.all[i].priority);
                again += l.all[i].port;
        }
        expect(sum == again);
        return 0;
}
