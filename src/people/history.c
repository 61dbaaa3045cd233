/* SPDX-License-Identifier: Apache-2.0 */
/* Names and phone numbers of recipients stay in the history for a while, for whoever asks after a parcel, and
 * then end. */
#include "base/log.h"
#include "ledger/people.h"
#include "people/history.h"
#include "people/people_struct.h"

#define EVERY_USEC  (3600 * USEC_PER_SEC)
#define AT_A_TIME   500
#define SOON_USEC   (10 * USEC_PER_SEC) /* when there were more */
#define UNSURE_USEC (60 * USEC_PER_SEC)

void history_tick(People *p, const Now *now) {
        uint64_t keep = p->settings->keep_names_usec, n = 0;

        if (now->boot_usec < p->history_at)
                return;
        if (!keep) {
                p->history_at = USEC_INFINITY;
                return;
        }
        /* A clock that is decades ahead would erase everything. */
        p->history_at = now->boot_usec + (now->synced ? EVERY_USEC : UNSURE_USEC);
        if (!now->synced)
                return;
        int r = ledger_history_forget(p->ledger, now->wall_usec - (int64_t)keep, AT_A_TIME, &n);
        if (r < 0)
                log_error_errno(r, "Cannot erase the names of parcels that ended long ago");
        if (n == AT_A_TIME)
                p->history_at = now->boot_usec + SOON_USEC;
}
