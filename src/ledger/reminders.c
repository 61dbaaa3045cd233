/* SPDX-License-Identifier: Apache-2.0 */
/* Reminders of waiting parcels, habits of recipients, and the settings that are changed at run time.
 * Rows of `reminder` are created by a trigger and deleted with their parcel. */
#include "ledger/sql.h"
#include "ledger/parcels.h"
#include "ledger/reminders.h"
#include "ledger/settings.h"

#include <errno.h>

#define DAY_USEC ((int64_t)86400 * (int64_t)USEC_PER_SEC)

int ledger_reminder_each(Ledger *l, unsigned limit, int (*each)(void *userdata, const ReminderRow *r),
                         void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_REMINDER_EACH);
        if (r < 0)
                return r;
        query_u64(&q, 1, limit);
        while ((r = query_step(&q)) > 0) {
                const ReminderRow row = {.parcel = column_u64(&q, 0),
                                         .since = column_i64(&q, 1),
                                         .synced = column_i64(&q, 2) != 0,
                                         .look = column_i64(&q, 3),
                                         .reminded = column_i64(&q, 4),
                                         .recalled = column_i64(&q, 5)};
                r = each(userdata, &row);
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_reminder_put(Ledger *l, const ReminderRow *row) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_REMINDER_PUT);
        if (r < 0)
                return r;
        query_u64(&q, 1, row->parcel);
        query_time(&q, 2, row->since);
        query_i64(&q, 3, row->synced);
        /* Not query_time(): 0 is "at once". */
        if (row->look != INT64_MAX)
                query_i64(&q, 4, row->look);
        else
                query_time(&q, 4, 0);
        query_time(&q, 5, row->reminded);
        query_time(&q, 6, row->recalled);
        r = query_run(&q);
        if (r < 0)
                return r;
        return sqlite3_changes(l->db) == 1 ? 0 : -ENOENT;
}

static int run_with(Ledger *l, Statement s, int64_t value) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, s);
        if (r < 0)
                return r;
        query_i64(&q, 1, value);
        return query_run(&q);
}

int ledger_reminder_look_again(Ledger *l) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_REMINDER_LOOK_AGAIN);
        return r < 0 ? r : query_run(&q);
}

int ledger_reminder_adopt(Ledger *l, int64_t now) {
        return run_with(l, SQL_REMINDER_ADOPT, now);
}

int ledger_reminder_shift(Ledger *l, int64_t by) {
        return run_with(l, SQL_REMINDER_SHIFT, by);
}

/* --- habits --- */

static int habit_of(Ledger *l, Statement s, uint64_t person, const uint8_t *phone, uint8_t ret[HABIT_HOURS]) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, s);
        if (r < 0)
                return r;
        if (phone)
                query_blob(&q, 1, phone, VAULT_MAC_SIZE);
        else
                query_u64(&q, 1, person);
        r = query_row(&q);
        return r < 0 ? r : column_bytes(&q, 0, ret, HABIT_HOURS);
}

int ledger_habit_get(Ledger *l, const ParcelRow *p, uint8_t ret[HABIT_HOURS]) {
        uint8_t mac[VAULT_MAC_SIZE];
        int r = p->person ? habit_of(l, SQL_HABIT_OF_PERSON, p->person, NULL, ret) : -ENOENT;

        /* A recipient who has enrolled since keeps the earlier habits. */
        if (r == -ENOENT && phone_mac(l->vault, p->phone, mac))
                r = habit_of(l, SQL_HABIT_OF_PHONE, 0, mac, ret);
        if (r == -ENOENT) {
                memset(ret, 0, HABIT_HOURS);
                r = 0;
        }
        return r;
}

int ledger_habit_count(Ledger *l, const ParcelRow *p, unsigned hour, int64_t wall) {
        _cleanup_query_ Query q = {0};
        uint8_t mac[VAULT_MAC_SIZE], hours[HABIT_HOURS];
        bool by_phone = !p->person && phone_mac(l->vault, p->phone, mac);

        if (!p->person && !by_phone)
                return 0;
        int r = ledger_habit_get(l, p, hours);
        if (r < 0)
                return r;
        habit_count(hours, hour);
        r = query_begin(&q, l, SQL_HABIT_PUT);
        if (r < 0)
                return r;
        query_id(&q, 1, p->person);
        query_blob(&q, 2, by_phone ? mac : NULL, sizeof(mac));
        query_blob(&q, 3, hours, sizeof(hours));
        query_i64(&q, 4, wall - wall % DAY_USEC);
        return query_run(&q);
}

int ledger_habit_forget(Ledger *l, int64_t before) {
        return run_with(l, SQL_HABIT_FORGET, before);
}

/* --- settings --- */

int ledger_setting_get(Ledger *l, const char *name, int64_t *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_SETTING_GET);
        if (r < 0)
                return r;
        query_text(&q, 1, name);
        r = query_row(&q);
        if (r < 0)
                return r;
        *ret = column_i64(&q, 0);
        return 0;
}

int ledger_setting_set(Ledger *l, const char *name, int64_t value) {
        bool own;
        int r = scope_begin(l, &own);

        if (r < 0)
                return r;
        for (int i = 0; r >= 0 && i < 2; i++) {
                _cleanup_query_ Query q = {0};
                r = query_begin(&q, l, i ? SQL_SETTING_SET : SQL_SETTING_DROP_WRONG);
                if (r < 0)
                        break;
                query_text(&q, 1, name);
                if (i)
                        query_i64(&q, 2, value);
                r = query_run(&q);
        }
        return scope_end(l, own, r);
}
