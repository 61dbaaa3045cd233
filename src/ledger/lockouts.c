/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/sql.h"
#include "ledger/lockouts.h"

#include <errno.h>

static int lockout_read(const Query *q, LockoutRow *ret) {
        LockoutRow row = {
                .lockout =
                        {
                                .failures = (unsigned)column_i64(q, 1),
                                .locked = column_i64(q, 2) != 0,
                                .until_boot = column_u64(q, 3),
                                .remaining_usec = column_u64(q, 4),
                                .pace = column_u64(q, 6),
                                .risk = column_u64(q, 7),
                                .leaked_boot = column_u64(q, 8),
                        },
        };

        column_label_cut(q, 0, row.subject, sizeof(row.subject));
        int r = column_bytes(q, 5, row.lockout.boot_id, BOOT_ID_SIZE);
        if (r >= 0)
                *ret = row;
        return r;
}

int ledger_lockout_get(Ledger *l, const char *subject, LockoutRow *ret) {
        _cleanup_query_ Query q = {0};

        if (strlen(subject) >= SUBJECT_MAX)
                return -EINVAL;
        int r = query_begin(&q, l, SQL_LOCKOUT_GET);
        if (r < 0)
                return r;
        query_text(&q, 1, subject);
        r = query_step(&q);
        if (r < 0)
                return r;
        if (r > 0)
                return lockout_read(&q, ret);
        *ret = (LockoutRow){0};
        strcpy(ret->subject, subject);
        return 0;
}

int ledger_lockout_put(Ledger *l, const LockoutRow *row) {
        _cleanup_query_ Query q = {0};
        bool keep = row->lockout.failures > 0 || row->lockout.locked || row->lockout.pace > 0 ||
                    row->lockout.risk > 0;

        int r = query_begin(&q, l, keep ? SQL_LOCKOUT_PUT : SQL_LOCKOUT_DELETE);
        if (r < 0)
                return r;
        query_text(&q, 1, row->subject);
        if (keep) {
                query_u64(&q, 2, row->lockout.failures);
                query_u64(&q, 3, row->lockout.locked);
                query_u64(&q, 4, row->lockout.until_boot);
                query_u64(&q, 5, row->lockout.remaining_usec);
                query_blob(&q, 6, row->lockout.boot_id, BOOT_ID_SIZE);
                query_u64(&q, 7, row->lockout.pace);
                query_u64(&q, 8, row->lockout.risk);
                query_u64(&q, 9, row->lockout.leaked_boot);
        }
        return query_run(&q);
}

int ledger_lockout_each(Ledger *l, int (*each)(void *userdata, const LockoutRow *r), void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_LOCKOUT_EACH);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                LockoutRow row;
                r = lockout_read(&q, &row);
                if (r >= 0)
                        r = each(userdata, &row);
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_lockout_concern(Ledger *l, const char *subject, uint64_t parcel) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_LOCKOUT_CONCERN);
        if (r < 0)
                return r;
        query_text(&q, 1, subject);
        query_u64(&q, 2, parcel);
        return query_run(&q);
}

int ledger_lockout_concerned(Ledger *l, const char *subject, int (*each)(void *userdata, uint64_t parcel),
                             void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_LOCKOUT_CONCERNED);
        if (r < 0)
                return r;
        query_text(&q, 1, subject);
        while ((r = query_step(&q)) > 0) {
                r = each(userdata, column_u64(&q, 0));
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_lockout_unconcern(Ledger *l, const char *subject) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_LOCKOUT_UNCONCERN);
        if (r < 0)
                return r;
        query_text(&q, 1, subject);
        return query_run(&q);
}
