/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/sql.h"
#include "ledger/sessions.h"

#include <errno.h>

int ledger_session_begin(Ledger *l, const char *kind, const char *terminal, const Now *now,
                         uint64_t *ret_id) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_SESSION_BEGIN);
        if (r < 0)
                return r;
        query_text(&q, 1, kind);
        query_text(&q, 2, terminal);
        query_i64(&q, 3, now->wall_usec);
        r = query_run(&q);
        if (r < 0)
                return r;
        *ret_id = (uint64_t)sqlite3_last_insert_rowid(l->db);
        return 0;
}

int ledger_session_person(Ledger *l, uint64_t id, uint64_t person, const char *evidence) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_SESSION_PERSON);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        query_id(&q, 2, person);
        query_text(&q, 3, evidence);
        r = query_run(&q);
        if (r < 0)
                return r;
        return sqlite3_changes(l->db) > 0 ? 0 : -ENOENT;
}

/* Nobody signed in and nothing moved: what was tried is in the events. */
static int drop(Ledger *l, uint64_t id) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_SESSION_DROP);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        r = query_run(&q);
        return r < 0 ? r : sqlite3_changes(l->db);
}

int ledger_session_end(Ledger *l, uint64_t id, const char *how, const Now *now) {
        _cleanup_query_ Query q = {0};

        int r = drop(l, id);
        if (r > 0)
                return 0;
        if (r >= 0)
                r = query_begin(&q, l, SQL_SESSION_END);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        query_i64(&q, 2, now->wall_usec);
        query_text(&q, 3, how);
        r = query_run(&q);
        if (r < 0)
                return r;
        return sqlite3_changes(l->db) > 0 ? 0 : -ENOENT;
}

int ledger_session_end_all_open(Ledger *l, const char *how, const Now *now) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_SESSION_END_ALL);
        if (r < 0)
                return r;
        query_i64(&q, 1, now->wall_usec);
        query_text(&q, 2, how);
        return query_run(&q);
}
