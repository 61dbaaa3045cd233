/* SPDX-License-Identifier: Apache-2.0 */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

/* The head of the audit chain goes to the journal every so many events: a second place that a thief of the
 * ledger lacks. */
#define AUDIT_HEAD_EVERY 256

static void pending_clear(Locker *l) {
        for (size_t i = 0; i < l->n_pending; i++) {
                free(l->pending[i].type);
                free(l->pending[i].subject);
                free(l->pending[i].data);
        }
        free(l->pending);
        l->pending = NULL;
        l->n_pending = 0;
}

int locker_begin(Locker *l) {
        if (l->in_transaction)
                return -EBUSY;
        storage_make_room(l);
        int r = ledger_begin(l->ledger);
        if (r < 0) {
                l->ledger_failing = true;
                return log_error_errno(r, "Cannot begin a ledger transaction");
        }
        l->in_transaction = true;
        if (l->command && !l->command->begun) {
                r = ledger_inbox_begin(l->ledger, l->command);
                if (r < 0) {
                        locker_rollback(l);
                        if (r == -EEXIST) /* which means other things to the use cases */
                                r = -EALREADY;
                        return log_error_errno(r, "Cannot store a command of the backend");
                }
        }
        return 0;
}

void locker_set_command(Locker *l, InboxRow *row) {
        l->command = row;
}

void locker_unset_command(Locker *l, const InboxRow *row) {
        if (l->command == row)
                l->command = NULL;
}

static void log_audit_head(Locker *l) {
        char head[AUDIT_HEAD_MAX];

        if (ledger_audit_head(l->ledger, head) < 0)
                return;
        log_message(LOG_NOTICE, LOCKERD_MESSAGE_AUDIT_HEAD,
                    (const char *const[]){"LOCKERD_AUDIT_HEAD", head, NULL}, "Audit chain head %s", head);
}

int locker_commit(Locker *l) {
        bool head_due = false;
        int r = ledger_commit(l->ledger);

        l->in_transaction = false;
        if (r < 0) {
                ledger_rollback(l->ledger);
                pending_clear(l);
                l->ledger_failing = true;
                return log_error_errno(r, "Cannot commit to the ledger");
        }
        l->ledger_failing = false;
        if (l->command)
                l->command->begun = true;

        /* Listeners may start new transactions: take the list first. */
        PendingEvent *events = steal_ptr(l->pending);
        size_t n = l->n_pending;
        l->n_pending = 0;
        for (size_t i = 0; i < n; i++) {
                if (events[i].row.sequence % AUDIT_HEAD_EVERY == 0)
                        head_due = true;
                notify_event(l, &events[i].row);
                free(events[i].type);
                free(events[i].subject);
                free(events[i].data);
        }
        free(events);
        if (head_due)
                log_audit_head(l);
        return 0;
}

int locker_end(Locker *l, int r) {
        if (r) {
                locker_rollback(l);
                return r;
        }
        return locker_commit(l);
}

void locker_rollback(Locker *l) {
        if (!l->in_transaction)
                return;
        ledger_rollback(l->ledger);
        l->in_transaction = false;
        pending_clear(l);
}

int64_t locker_wall(const Locker *l, const Now *now) {
        /* A clock that lost its battery starts in the past: until it is synchronised, time does not run
         * backwards here. */
        return !now->synced && now->wall_usec < l->wall_floor ? l->wall_floor : now->wall_usec;
}

int locker_record(Locker *l, const char *actor, const char *reason, const char *type, const char *subject,
                  json_t *data, const char *secret) {
        _cleanup_free_ char *json = data ? json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        Now now = l->now();
        EventRow row;

        json_decref(data);
        if (!json)
                return -ENOMEM;
        Record record = {.actor = actor ? actor : "lockerd",
                         .reason = reason,
                         .type = type,
                         .subject = subject,
                         .data = json,
                         .secret = secret};
        int r = ledger_record(l->ledger, &record, &now, &row);
        if (r < 0)
                return r;
        l->wall_floor = MAX(l->wall_floor, row.wall_usec);

        PendingEvent *grown = reallocarray(l->pending, l->n_pending + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        l->pending = grown;
        PendingEvent *p = &l->pending[l->n_pending];
        *p = (PendingEvent){
                .row = row, .type = strdup(type), .subject = strdup(subject), .data = strdup(json)};
        l->n_pending++;
        if (!p->type || !p->subject || !p->data)
                return -ENOMEM;
        p->row.type = p->type;
        p->row.subject = p->subject;
        p->row.data = p->data;
        return 0;
}

void subject_place(const Locker *l, int slot, unsigned number, char ret[SUBJECT_MAX]) {
        if (number)
                snprintf(ret, SUBJECT_MAX, "slot:%s/%u", l->cabinet->slots[slot].label, number);
        else
                snprintf(ret, SUBJECT_MAX, "slot:%s", l->cabinet->slots[slot].label);
}

json_t *data_place(const Locker *l, int slot, unsigned number) {
        return json_pack("{s:s, s:i}", "slot", l->cabinet->slots[slot].label, "position", (int)number);
}

json_t *data_by(json_t *data, const char *actor, const char *reason) {
        if (data && !json_object_set_new(data, "actor", json_string(actor)) &&
            !json_object_set_new(data, "reason", json_string(reason)))
                return data;
        json_decref(data);
        return NULL;
}

json_t *data_parcel(const ParcelRow *p) {
        _cleanup_free_ char *name = p->recipient ? mask_name(p->recipient) : NULL;
        _cleanup_free_ char *phone = p->phone ? mask_phone(p->phone) : NULL;

        return json_pack("{s:I, s:s, s:s, s:i, s:s, s:s*, s:s*, s:s*, s:s, s:I}", "parcel", (json_int_t)p->id,
                         "state", parcel_state_to_string(p->state), "slot", p->slot, "position",
                         (int)p->position, "size", p->size, "waybill", p->waybill, "recipient", name, "phone",
                         phone, "courier", p->courier_number, "expires", (json_int_t)p->expires);
}

int locker_record_parcel(Locker *l, const char *actor, const char *reason, const ParcelRow *p,
                         const char *secret) {
        char type[64], subject[SUBJECT_MAX];

        snprintf(type, sizeof(type), "parcel.%s", parcel_state_to_string(p->state));
        snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)p->id);
        return locker_record(l, actor, reason, type, subject, data_parcel(p), secret);
}
