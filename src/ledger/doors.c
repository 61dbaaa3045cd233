/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/doors.h"
#include "ledger/sql.h"

#include <errno.h>

static const char *const words[] = {
        [DOOR_SEEN_NEVER] = "unknown",
        [DOOR_SEEN_SHUT] = "shut",
        [DOOR_SEEN_OPEN] = "open",
        [DOOR_SEEN_FORCED] = "forced",
};

int ledger_door_set(Ledger *l, const char *slot, unsigned position, DoorSeen seen) {
        bool own;

        if (strlen(slot) >= LABEL_MAX)
                return -EINVAL;
        int r = scope_begin(l, &own);
        if (r < 0)
                return r;
        /* What somebody else has written is replaced by what is seen. */
        for (int i = 0; r >= 0 && i < 2; i++) {
                _cleanup_query_ Query q = {0};
                r = query_begin(&q, l, i ? SQL_DOOR_SET : SQL_DOOR_DROP_WRONG);
                if (r < 0)
                        break;
                query_text(&q, 1, slot);
                query_u64(&q, 2, position);
                if (i)
                        query_text(&q, 3, words[seen]);
                r = query_run(&q);
        }
        return scope_end(l, own, r);
}

static int seen_from_string(const char *s, DoorSeen *ret) {
        for (size_t i = 0; s && i < ARRAY_SIZE(words); i++)
                if (words[i] && streq(words[i], s)) {
                        *ret = (DoorSeen)i;
                        return 0;
                }
        return -EUCLEAN;
}

int ledger_door_each(Ledger *l,
                     int (*each)(void *userdata, const char *slot, unsigned position, DoorSeen seen),
                     void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_DOOR_EACH);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                char slot[LABEL_MAX];
                DoorSeen seen;
                column_label_cut(&q, 0, slot, sizeof(slot));
                r = seen_from_string(column_text(&q, 2), &seen);
                if (r >= 0)
                        r = each(userdata, slot, (unsigned)column_i64(&q, 1), seen);
                if (r != 0)
                        return r;
        }
        return r;
}
