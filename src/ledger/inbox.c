/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the backend: stored, begun, answered, and kept until they cannot be repeated any more. */
#include "ledger/sql.h"
#include "ledger/inbox.h"
#include "ledger/settings.h"

#include <errno.h>
#include <stdio.h>

#define SETTING_FORGOTTEN "commands-forgotten"

void inbox_row_done(InboxRow *r) {
        free(r->command);
        free(r->answer);
        free(r->response_topic);
        free(r->correlation);
        *r = (InboxRow){0};
}

static int inbox_read(const Query *q, InboxRow *ret) {
        const Vault *v = q->ledger->vault;
        InboxRow row = {
                .received = column_i64(q, 2),
                .expires = column_i64(q, 3),
                .begun = column_i64(q, 5) != 0,
                .is_signed = column_i64(q, 9) != 0,
        };

        int r = column_label(q, 0, row.id, sizeof(row.id));
        if (r >= 0)
                r = column_label(q, 1, row.name, sizeof(row.name));
        if (r >= 0)
                r = sealed_read(q, 4, v, "inbox.command", NULL, &row.command);
        if (r >= 0)
                r = sealed_read(q, 6, v, "inbox.answer", NULL, &row.answer);
        if (r >= 0)
                r = column_dup(q, 7, &row.response_topic);
        if (r >= 0)
                r = column_dup(q, 8, &row.correlation);
        if (r < 0) {
                inbox_row_done(&row);
                return r;
        }
        *ret = row;
        return 0;
}

int ledger_inbox_get(Ledger *l, const char *id, InboxRow *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_INBOX_GET);
        if (r < 0)
                return r;
        query_text(&q, 1, id);
        r = query_row(&q);
        return r < 0 ? r : inbox_read(&q, ret);
}

static void bind_row(Query *q, const InboxRow *row, const Sealed *command) {
        query_text(q, 1, row->id);
        query_text(q, 2, row->name);
        query_i64(q, 3, row->received);
        query_i64(q, 4, row->expires);
        query_blob(q, 5, command->data, command->n);
        query_label(q, 6, row->response_topic);
        query_label(q, 7, row->correlation);
        query_i64(q, 8, row->is_signed);
}

int ledger_inbox_store(Ledger *l, const InboxRow *row) {
        _cleanup_query_ Query q = {0};
        _cleanup_sealed_ Sealed command = {0};

        int r = sealed_make(&command, l->vault, "inbox.command", NULL, row->command);
        if (r >= 0)
                r = query_begin(&q, l, SQL_INBOX_INSERT);
        if (r < 0)
                return r;
        bind_row(&q, row, &command);
        return query_run(&q);
}

static int put(Ledger *l, const InboxRow *row, bool begun, const char *answer) {
        _cleanup_query_ Query q = {0};
        _cleanup_sealed_ Sealed command = {0}, sealed = {0};

        int r = sealed_make(&command, l->vault, "inbox.command", NULL, row->command);
        if (r >= 0)
                r = sealed_make(&sealed, l->vault, "inbox.answer", NULL, answer);
        if (r >= 0)
                r = query_begin(&q, l, SQL_INBOX_PUT);
        if (r < 0)
                return r;
        bind_row(&q, row, &command);
        query_i64(&q, 9, begun);
        query_blob(&q, 10, sealed.data, sealed.n);
        r = query_run(&q);
        return r < 0 ? r : sqlite3_changes(l->db) == 1 ? 0 : -EEXIST;
}

int ledger_inbox_begin(Ledger *l, const InboxRow *row) {
        return put(l, row, true, NULL);
}

int ledger_inbox_answer(Ledger *l, const InboxRow *row, const char *answer) {
        return put(l, row, row->begun, answer);
}

int ledger_inbox_each_open(Ledger *l, int (*each)(void *userdata, const InboxRow *r), void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_INBOX_EACH_OPEN);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                InboxRow row = {0};
                r = inbox_read(&q, &row);
                if (r >= 0)
                        r = each(userdata, &row);
                inbox_row_done(&row);
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_inbox_count(Ledger *l, uint64_t *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_INBOX_COUNT);
        if (r >= 0)
                r = query_row(&q);
        if (r >= 0)
                *ret = column_u64(&q, 0);
        return r;
}

int ledger_inbox_withdraw(Ledger *l, const char *id) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_INBOX_WITHDRAW);
        if (r < 0)
                return r;
        query_text(&q, 1, id);
        return query_run(&q);
}

int ledger_inbox_forgotten(Ledger *l, int64_t *ret) {
        int r = ledger_setting_get(l, SETTING_FORGOTTEN, ret);

        if (r == -ENOENT)
                *ret = 0;
        return r == -ENOENT ? 0 : r;
}

/* In a transaction. */
static int remember_largest(Ledger *l, int64_t before) {
        _cleanup_query_ Query q = {0};
        int64_t known, largest;

        int r = ledger_inbox_forgotten(l, &known);
        if (r >= 0)
                r = query_begin(&q, l, SQL_INBOX_LARGEST);
        if (r < 0)
                return r;
        query_i64(&q, 1, before);
        r = query_row(&q);
        if (r < 0)
                return r;
        largest = column_i64(&q, 0);
        query_end(&q);
        return largest > known ? ledger_setting_set(l, SETTING_FORGOTTEN, largest) : 0;
}

static int forget(Ledger *l, int64_t before) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_INBOX_FORGET);
        if (r < 0)
                return r;
        query_i64(&q, 1, before);
        r = query_run(&q);
        return r < 0 ? r : sqlite3_changes(l->db);
}

int ledger_inbox_forget(Ledger *l, int64_t before) {
        bool own;
        int n = 0;

        int r = scope_begin(l, &own);
        if (r < 0)
                return r;
        r = remember_largest(l, before);
        if (r >= 0)
                r = n = forget(l, before);
        r = scope_end(l, own, MIN(r, 0));
        return r < 0 ? r : n;
}
