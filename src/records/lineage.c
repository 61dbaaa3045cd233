/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger that is not what this cabinet has had last begins a new epoch, and says so. */
#include "records/records.h"
#include "ledger/lineage.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <stdio.h>

static const char *sentence(EpochWhy why) {
        switch (why) {
        case EPOCH_BEHIND:
                return "The ledger is older than what this cabinet has told already: a copy or a backup is "
                       "in its place.";
        case EPOCH_FOREIGN:
                return "Another ledger has spoken for this cabinet: this one is new, a copy, or there are "
                       "two.";
        case EPOCH_UNCLEAN:
                return "The end of the ledger is missing (its write-ahead log), or a copy was put in its "
                       "place.";
        case EPOCH_NEW:
        case EPOCH_UPGRADE:
        case EPOCH_RESTORED:
                break;
        }
        return "";
}

int records_begin_epoch(Records *rec, EpochWhy why, uint64_t told) {
        char before[EPOCH_LENGTH + 1], data[EPOCH_LENGTH + 1];
        Now now = rec->now();
        uint64_t since = 0;
        int r = records_begin(rec);

        if (r < 0)
                return r;
        snprintf(before, sizeof(before), "%s", ledger_epoch(rec->ledger));
        r = ledger_epoch_untold(rec->ledger, &since);
        if (r >= 0)
                r = ledger_epoch_begin(rec->ledger, why, since, &now);
        snprintf(data, sizeof(data), "%s", ledger_epoch(rec->ledger));
        if (r >= 0)
                r = records_add(rec, NULL, NULL, "ledger.epoch-began", "cabinet",
                                json_pack("{s:s, s:s, s:s, s:I, s:I}", "epoch", data, "before", before, "why",
                                          epoch_why_to_string(why), "since", (json_int_t)since, "told",
                                          (json_int_t)told),
                                NULL);
        r = records_end(rec, r);
        if (r < 0)
                return r;
        log_message(LOG_ERR, LOCKERD_MESSAGE_LEDGER_OTHER, NULL,
                    "%s Told: event %llu; this ledger does not know it. Epoch %s begins; commands must name "
                    "it. Compare "
                    "what lies in the cabinet with lockerctl parcels",
                    sentence(why), (unsigned long long)told, data);
        rec->lineage = sentence(why);
        notify_health(rec);
        return 0;
}
