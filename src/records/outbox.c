/* SPDX-License-Identifier: Apache-2.0 */
/* Weeks without a backend: when the outbox is fuller than allowed, its oldest routine is replaced by a line
 * that says how much it was. */
#include "records/records.h"
#include "ledger/events.h"
#include "base/log.h"

int records_summarise_outbox(Records *rec, uint64_t after, uint64_t to) {
        uint64_t dropped = 0;
        int r = records_begin(rec);

        if (r < 0)
                return r;
        r = ledger_outbox_summarise(rec->ledger, after, to, &dropped);
        if (r >= 0 && dropped)
                r = records_add(rec, NULL, "the outbox is full", "outbox.summarised", "cabinet",
                                json_pack("{s:I, s:I, s:I}", "after", (json_int_t)after, "to", (json_int_t)to,
                                          "events", (json_int_t)dropped),
                                NULL);
        if (r < 0) {
                records_rollback(rec);
                return r;
        }
        return records_commit(rec);
}
