/* SPDX-License-Identifier: Apache-2.0 */
/* outbox-fill PATH N [KEYFILE]: makes the ledger PATH (and its key, default PATH.key) if need be, and records
 * N events of a cabinet that nobody has heard for long, through the ledger's own calls: of ten, six doors'
 * routine, three about parcels, one with a code. */
#include "base/text.h"
#include "ledger/events.h"
#include "ledger/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define EVENTS_PER_TRANSACTION 2000

static const char *const parcel_types[] = {"parcel.stored", "parcel.collecting", "parcel.collected"};

static int record_one(Ledger *l, unsigned i, const Now *now) {
        _cleanup_free_ char *data = NULL, *subject = NULL, *secret = NULL;
        const char *state = i % 10 == 9 ? "stored" : parcel_types[i % 10 % 3] + strlen("parcel.");
        unsigned parcel = 1000000 + i / 10;
        Record record = {.actor = "courier:4711"};

        if (i % 10 < 6) {
                record.type = i % 2 ? "door.closed" : "door.opened";
                subject = text_printf("slot:%02u", i % 12 + 1);
                data = text_printf("{\"slot\":\"%02u\",\"position\":0}", i % 12 + 1);
        } else {
                record.type = i % 10 == 9 ? "code.issued" : parcel_types[i % 10 % 3];
                subject = text_printf("parcel:%u", parcel);
                data = text_printf("{\"parcel\":%u,\"state\":\"%s\",\"slot\":\"%02u\",\"position\":1,"
                                   "\"size\":\"M\",\"courier\":\"4711\","
                                   "\"expires\":1795508130000000,\"waybill\":\"JD%08u\"%s}",
                                   parcel, state, i % 12 + 1, i,
                                   i % 10 == 9 ? ",\"cabinet\":\"C-0012\",\"place\":{}" : "");
        }
        if (i % 10 == 9)
                secret = text_printf("{\"code\":\"%06u\",\"courier\":\"4711\"}", i % 1000000);
        record.subject = subject;
        record.data = data;
        record.secret = secret;
        return subject && data ? ledger_record(l, &record, now, NULL) : -ENOMEM;
}

static int fill(Ledger *l, unsigned n) {
        Now now = {.wall_usec = 1795500000 * (int64_t)USEC_PER_SEC, .synced = true};
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < n;) {
                r = ledger_begin(l);
                for (unsigned k = 0; r >= 0 && k < EVENTS_PER_TRANSACTION && i < n; k++, i++) {
                        now.wall_usec += (int64_t)USEC_PER_MSEC;
                        r = record_one(l, i, &now);
                }
                if (r >= 0)
                        r = ledger_commit(l);
        }
        return r;
}

int main(int argc, char **argv) {
        _cleanup_(vault_freep) Vault *vault = NULL;
        _cleanup_(ledger_freep) Ledger *ledger = NULL;
        _cleanup_free_ char *detail = NULL, *key = NULL;
        LedgerProblem problem;
        uint64_t n = 0;

        if (argc < 3 || argc > 4 || text_to_u64(argv[2], 100000000, &n) < 0) {
                fprintf(stderr, "usage: %s PATH N [KEYFILE]\n", argv[0]);
                return 2;
        }
        key = argc == 4 ? strdup(argv[3]) : text_printf("%s.key", argv[1]);
        if (!key)
                return 1;
        int r = vault_load(&vault, key, true);
        if (r >= 0)
                r = ledger_open(&ledger, argv[1], vault, &problem, &detail);
        if (r >= 0) {
                vault = NULL;
                r = fill(ledger, (unsigned)n);
        }
        if (r < 0)
                fprintf(stderr, "%s: %s\n", argv[1], detail ? detail : strerror(-r));
        return r < 0;
}
