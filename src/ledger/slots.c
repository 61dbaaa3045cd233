/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/sql.h"
#include "ledger/slots.h"

#include <errno.h>

static const char *const service_names[] = {
        [SERVICE_IN] = "in",
        [SERVICE_DISABLED] = "disabled",
        [SERVICE_QUARANTINED] = "quarantined",
};

const char *service_to_string(Service s) {
        return service_names[s];
}

static int service_from_string(const char *s, Service *ret) {
        for (size_t i = 0; s && i < ARRAY_SIZE(service_names); i++)
                if (streq(service_names[i], s)) {
                        *ret = (Service)i;
                        return 0;
                }
        return -EUCLEAN;
}

void service_row_done(ServiceRow *r) {
        free(r->reason);
        *r = (ServiceRow){0};
}

static int service_read(const Query *q, ServiceRow *ret) {
        ServiceRow row = {.position = (unsigned)column_i64(q, 1), .last_used = column_u64(q, 4)};

        column_label_cut(q, 0, row.slot, sizeof(row.slot));
        int r = service_from_string(column_text(q, 2), &row.service);
        if (r >= 0)
                r = column_dup(q, 3, &row.reason);
        if (r >= 0)
                *ret = row;
        return r;
}

int ledger_service_get(Ledger *l, const char *slot, unsigned position, ServiceRow *ret) {
        _cleanup_query_ Query q = {0};

        if (strlen(slot) >= LABEL_MAX)
                return -EINVAL;
        int r = query_begin(&q, l, position ? SQL_POSITION_GET : SQL_SLOT_GET);
        if (r < 0)
                return r;
        query_text(&q, 1, slot);
        if (position)
                query_u64(&q, 2, position);
        r = query_step(&q);
        if (r < 0)
                return r;
        if (r > 0)
                return service_read(&q, ret);
        *ret = (ServiceRow){.position = position, .service = SERVICE_IN};
        strcpy(ret->slot, slot);
        return 0;
}

/* Whoever says now what is in service puts a row right that was changed behind the daemon's back. */
static int drop_wrong(Ledger *l, const char *slot, unsigned position) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, position ? SQL_POSITION_DROP_WRONG : SQL_SLOT_DROP_WRONG);

        if (r < 0)
                return r;
        query_text(&q, 1, slot);
        if (position)
                query_u64(&q, 4, position);
        return query_run(&q);
}

int ledger_service_set(Ledger *l, const char *slot, unsigned position, Service service, const char *reason) {
        _cleanup_query_ Query q = {0};

        if (strlen(slot) >= LABEL_MAX)
                return -EINVAL;
        int r = drop_wrong(l, slot, position);
        if (r >= 0)
                r = query_begin(&q, l, position ? SQL_POSITION_SET : SQL_SLOT_SET);
        if (r < 0)
                return r;
        query_text(&q, 1, slot);
        query_text(&q, 2, service_to_string(service));
        query_text(&q, 3, reason);
        if (position)
                query_u64(&q, 4, position);
        return query_run(&q);
}

int ledger_position_used(Ledger *l, const char *slot, unsigned position) {
        _cleanup_query_ Query q = {0};

        if (strlen(slot) >= LABEL_MAX)
                return -EINVAL;
        int r = query_begin(&q, l, SQL_POSITION_USED);
        if (r < 0)
                return r;
        query_text(&q, 1, slot);
        query_u64(&q, 2, position);
        return query_run(&q);
}

int ledger_service_each(Ledger *l, int (*each)(void *userdata, const ServiceRow *r), void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_SERVICE_EACH);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                ServiceRow row = {0};
                r = service_read(&q, &row);
                if (r >= 0)
                        r = each(userdata, &row);
                service_row_done(&row);
                if (r != 0)
                        return r;
        }
        return r;
}
