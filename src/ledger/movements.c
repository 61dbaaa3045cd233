/* SPDX-License-Identifier: Apache-2.0 */
/* Intents before a lock moves, outcomes after it. */
#include "ledger/sql.h"
#include "ledger/movements.h"

#include <errno.h>

int ledger_movement_intend(Ledger *l, MovementRow *m, const Now *now) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_MOVEMENT_INTEND);
        if (r < 0)
                return r;
        query_id(&q, 1, m->session);
        query_id(&q, 2, m->parcel);
        query_text(&q, 3, m->slot);
        query_u64(&q, 4, m->position);
        query_text(&q, 5, m->action);
        query_text(&q, 6, m->why);
        query_text(&q, 7, m->actor);
        query_text(&q, 8, m->reason);
        query_i64(&q, 9, now->wall_usec);
        r = query_run(&q);
        if (r < 0)
                return r;
        m->id = (uint64_t)sqlite3_last_insert_rowid(l->db);
        return 0;
}

static int movement_exists(Ledger *l, uint64_t id) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_MOVEMENT_EXISTS);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        return query_row(&q);
}

int ledger_movement_settle(Ledger *l, uint64_t id, const char *outcome, const Now *now) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_MOVEMENT_SETTLE);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        query_text(&q, 2, outcome);
        query_i64(&q, 3, now->wall_usec);
        r = query_run(&q);
        if (r < 0)
                return r;
        if (sqlite3_changes(l->db) > 0)
                return 0;
        r = movement_exists(l, id);
        return r < 0 ? r : -EALREADY;
}

int ledger_movement_each_open(Ledger *l,
                              int (*each)(void *userdata, uint64_t id, const char *slot, unsigned position,
                                          uint64_t parcel, const char *why),
                              void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_MOVEMENT_EACH_OPEN);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                char slot[LABEL_MAX];
                column_label_cut(&q, 1, slot, sizeof(slot));
                r = each(userdata, column_u64(&q, 0), slot, (unsigned)column_i64(&q, 2), column_u64(&q, 3),
                         column_text(&q, 4));
                if (r != 0)
                        return r;
        }
        return r;
}
