/* SPDX-License-Identifier: Apache-2.0 */
#include "records/records.h"
#include "ledger/audit.h"
#include "ledger/events.h"
#include "ledger/inbox.h"
#include "ledger/parcels.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

/* The head of the audit chain goes to the journal every so many events: a second place that a thief of the
 * ledger lacks. */
#define AUDIT_HEAD_EVERY 256

static void pending_clear(Records *rec) {
        for (size_t i = 0; i < rec->n_pending; i++) {
                free(rec->pending[i].type);
                free(rec->pending[i].subject);
                free(rec->pending[i].data);
        }
        free(rec->pending);
        rec->pending = NULL;
        rec->n_pending = 0;
}

int records_begin(Records *rec) {
        if (rec->in_transaction)
                return -EBUSY;
        storage_make_room(rec);
        int r = ledger_begin(rec->ledger);
        if (r == -EBUSY) {
                records_locked(rec);
                return r;
        }
        if (r < 0) {
                rec->ledger_failing = true;
                return log_error_errno(r, "Cannot begin a ledger transaction");
        }
        records_unlocked(rec);
        rec->in_transaction = true;
        if (rec->command && !rec->command->begun) {
                r = ledger_inbox_begin(rec->ledger, rec->command);
                if (r < 0) {
                        records_rollback(rec);
                        if (r == -EEXIST) /* which means other things to the use cases */
                                r = -EALREADY;
                        return log_error_errno(r, "Cannot store a command of the backend");
                }
        }
        return 0;
}

void records_set_command(Records *rec, InboxRow *row) {
        rec->command = row;
}

void records_unset_command(Records *rec, const InboxRow *row) {
        if (rec->command == row)
                rec->command = NULL;
}

static void log_audit_head(Records *rec) {
        char head[AUDIT_HEAD_MAX];

        if (ledger_audit_head(rec->ledger, head) < 0)
                return;
        log_message(LOG_NOTICE, LOCKERD_MESSAGE_AUDIT_HEAD,
                    (const char *const[]){"LOCKERD_AUDIT_HEAD", head, NULL}, "Audit chain head %s", head);
}

int records_commit(Records *rec) {
        bool head_due = false;
        int r = ledger_commit(rec->ledger);

        rec->in_transaction = false;
        if (r < 0) {
                ledger_rollback(rec->ledger);
                pending_clear(rec);
                rec->ledger_failing = true;
                return log_error_errno(r, "Cannot commit to the ledger");
        }
        rec->ledger_failing = false;
        if (rec->command)
                rec->command->begun = true;

        /* Listeners may start new transactions: take the list first. */
        PendingEvent *events = steal_ptr(rec->pending);
        size_t n = rec->n_pending;
        rec->n_pending = 0;
        for (size_t i = 0; i < n; i++) {
                if (events[i].row.sequence % AUDIT_HEAD_EVERY == 0)
                        head_due = true;
                notify_event(rec, &events[i].row);
                free(events[i].type);
                free(events[i].subject);
                free(events[i].data);
        }
        free(events);
        if (head_due)
                log_audit_head(rec);
        return 0;
}

int records_end(Records *rec, int r) {
        if (r) {
                records_rollback(rec);
                return r;
        }
        return records_commit(rec);
}

void records_rollback(Records *rec) {
        if (!rec->in_transaction)
                return;
        ledger_rollback(rec->ledger);
        rec->in_transaction = false;
        pending_clear(rec);
}

int records_add(Records *rec, const char *actor, const char *reason, const char *type, const char *subject,
                json_t *data, const char *secret) {
        _cleanup_free_ char *json = data ? json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        Now now = rec->now();
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
        int r = ledger_record(rec->ledger, &record, &now, &row);
        if (r < 0)
                return r;

        PendingEvent *grown = reallocarray(rec->pending, rec->n_pending + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        rec->pending = grown;
        PendingEvent *p = &rec->pending[rec->n_pending];
        *p = (PendingEvent){
                .row = row, .type = strdup(type), .subject = strdup(subject), .data = strdup(json)};
        rec->n_pending++;
        if (!p->type || !p->subject || !p->data)
                return -ENOMEM;
        p->row.type = p->type;
        p->row.subject = p->subject;
        p->row.data = p->data;
        return 0;
}

void subject_place(const Cabinet *c, int slot, unsigned number, char ret[SUBJECT_MAX]) {
        if (number)
                snprintf(ret, SUBJECT_MAX, "slot:%s/%u", c->slots[slot].label, number);
        else
                snprintf(ret, SUBJECT_MAX, "slot:%s", c->slots[slot].label);
}

json_t *data_place(const Cabinet *c, int slot, unsigned number) {
        return json_pack("{s:s, s:i}", "slot", c->slots[slot].label, "position", (int)number);
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

int records_add_parcel(Records *rec, const char *actor, const char *reason, const ParcelRow *p,
                       const char *secret) {
        char type[64], subject[SUBJECT_MAX];

        snprintf(type, sizeof(type), "parcel.%s", parcel_state_to_string(p->state));
        snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)p->id);
        return records_add(rec, actor, reason, type, subject, data_parcel(p), secret);
}
