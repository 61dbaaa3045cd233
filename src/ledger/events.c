/* SPDX-License-Identifier: Apache-2.0 */
/* Events, and the outbox of events that the backend has not acknowledged. */
#include "base/text.h"
#include "ledger/events.h"
#include "ledger/sql.h"

#include <errno.h>
#include <stdio.h>

/* A secret is bound to its event, so that it cannot be sent with another. */
static void secret_label(uint64_t sequence, char ret[40]) {
        snprintf(ret, 40, "outbox.%llu", (unsigned long long)sequence);
}

static int event_insert(Ledger *l, const Record *record, const Now *now) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_EVENT_INSERT);
        if (r < 0)
                return r;
        query_i64(&q, 1, now->wall_usec);
        query_i64(&q, 2, now->synced);
        query_text(&q, 3, record->type);
        query_text(&q, 4, record->subject);
        query_text(&q, 5, record->data);
        return query_run(&q);
}

static int outbox_insert(Ledger *l, uint64_t sequence, const char *secret) {
        _cleanup_query_ Query q = {0};
        _cleanup_sealed_ Sealed sealed = {0};
        char label[40];

        secret_label(sequence, label);
        int r = sealed_make(&sealed, l->vault, label, NULL, secret);
        if (r >= 0)
                r = query_begin(&q, l, SQL_OUTBOX_INSERT);
        if (r < 0)
                return r;
        query_u64(&q, 1, sequence);
        query_blob(&q, 2, sealed.data, sealed.n);
        return query_run(&q);
}

int ledger_record(Ledger *l, const Record *record, const Now *now, EventRow *ret) {
        bool own;

        if (!l->in_transaction)
                return -EINVAL;
        int r = scope_begin(l, &own);
        if (r < 0)
                return r;
        r = event_insert(l, record, now);
        uint64_t sequence = r < 0 ? 0 : (uint64_t)sqlite3_last_insert_rowid(l->db);
        if (r >= 0)
                r = audit_append(l, &(AuditRow){
                                            .sequence = sequence,
                                            .wall = now->wall_usec,
                                            .synced = now->synced,
                                            .type = record->type,
                                            .subject = record->subject,
                                            .data = record->data,
                                            .actor = record->actor,
                                            .reason = record->reason,
                                    });
        if (r >= 0)
                r = outbox_insert(l, sequence, record->secret);
        r = scope_end(l, own, r);
        if (r < 0)
                return r;
        l->recorded = sequence;
        if (ret)
                *ret = (EventRow){
                        .sequence = sequence,
                        .wall_usec = now->wall_usec,
                        .type = record->type,
                        .subject = record->subject,
                        .data = record->data,
                        .synced = now->synced,
                };
        return 0;
}

/* EVENT_COLUMNS; strings live until the next step. */
static int event_read(const Query *q, EventRow *ret) {
        EventRow e = {
                .sequence = column_u64(q, 0),
                .wall_usec = column_i64(q, 1),
                .synced = column_i64(q, 2) != 0,
                .type = column_text(q, 3),
                .subject = column_text(q, 4),
                .data = column_text(q, 5),
        };

        if (!e.type || !e.subject || !e.data)
                return -EUCLEAN;
        *ret = e;
        return 0;
}

/* limit 0: all */
static int begin_after(Query *q, Ledger *l, Statement s, uint64_t after, unsigned limit) {
        int r = query_begin(q, l, s);

        if (r < 0)
                return r;
        query_u64(q, 1, after);
        query_i64(q, 2, limit > 0 ? (int64_t)limit : -1);
        return 0;
}

int ledger_event_each(Ledger *l, uint64_t after, unsigned limit,
                      int (*each)(void *userdata, const EventRow *e), void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = begin_after(&q, l, SQL_EVENT_EACH, after, limit);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                EventRow e;
                r = event_read(&q, &e);
                if (r >= 0)
                        r = each(userdata, &e);
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_outbox_each(Ledger *l, uint64_t after, unsigned limit,
                       int (*each)(void *userdata, const EventRow *e, const char *secret), void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = begin_after(&q, l, SQL_OUTBOX_EACH, after, limit);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                _cleanup_erase_ char *secret = NULL;
                EventRow e;
                char label[40];

                r = event_read(&q, &e);
                if (r >= 0) {
                        secret_label(e.sequence, label);
                        r = sealed_read(&q, 6, l->vault, label, NULL, &secret);
                        /* What cannot be opened must not hold up what comes after it. */
                        if (r == -EUCLEAN && (secret = strdup("")))
                                r = 0;
                }
                if (r >= 0)
                        r = each(userdata, &e, secret);
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_outbox_length(Ledger *l, uint64_t *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_OUTBOX_LENGTH);
        if (r >= 0)
                r = query_row(&q);
        if (r < 0)
                return r;
        *ret = column_u64(&q, 0);
        return 0;
}

int ledger_outbox_acknowledge(Ledger *l, uint64_t after, uint64_t to) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_OUTBOX_ACKNOWLEDGE);
        if (r < 0)
                return r;
        query_u64(&q, 1, after);
        query_u64(&q, 2, to);
        r = query_run(&q);
        if (r >= 0 && sqlite3_changes(l->db) > 0)
                l->scrub = MAX(l->scrub, SCRUB_NEXT);
        return r;
}

int ledger_outbox_summarise(Ledger *l, uint64_t after, uint64_t to, uint64_t *ret_dropped) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_OUTBOX_SUMMARISE);
        if (r < 0)
                return r;
        query_u64(&q, 1, after);
        query_u64(&q, 2, to);
        r = query_run(&q);
        if (r < 0)
                return r;
        *ret_dropped = (uint64_t)sqlite3_changes(l->db);
        return 0;
}
