/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do, each with who and why in the ledger (F8). */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

static int check_place(const Locker *l, int slot, unsigned position, const char *reason) {
        if (slot < 0 || slot >= l->cabinet->n_slots)
                return LOCKER_E_UNKNOWN_SLOT;
        if (position > (unsigned)l->cabinet->slots[slot].n_positions)
                return LOCKER_E_UNKNOWN_POSITION;
        return reason && *reason ? 0 : LOCKER_E_INVALID_ARGUMENT;
}

static void tell_slot(Locker *l, int slot) {
        notify_slot(l, slot);
}

static void tell_parcel(Locker *l, uint64_t id) {
        notify_parcel(l, id);
}

/* --- opening --- */

typedef struct OperatorOpen {
        Locker *locker;
        Movement *door, *inner;
        LockerReply reply;
        void *userdata;
        Placement place;
        bool reported_open; /* the sensors said so before the pulse: a broken wire, or it really was */
        char *actor, *reason;
} OperatorOpen;

static OperatorOpen *operator_open_free(OperatorOpen *o) {
        if (!o)
                return NULL;
        free(o->actor);
        free(o->reason);
        free(o);
        return NULL;
}

/* An opening is reported when there was one; the intent, with who and why, has been in the ledger before. */
static void record_opened(const OperatorOpen *o) {
        Locker *l = o->locker;
        const char *label = l->cabinet->slots[o->place.slot].label;
        char subject[SUBJECT_MAX];
        int r = locker_begin(l);

        if (!r) {
                json_t *data =
                        json_pack("{s:s, s:i, s:s*}", "slot", label, "position", (int)o->place.position,
                                  "reported", o->reported_open ? "open" : NULL);
                data = data_by(data, o->actor, o->reason);
                subject_place(l, o->place.slot, o->place.position, subject);
                r = locker_end(l,
                               locker_record(l, o->actor, o->reason, "operator.opened", subject, data, NULL));
        }
        if (r < 0)
                log_error_errno(r, "Cannot record that an operator opened slot %s", label);
        log_message(LOG_NOTICE, LOCKERD_MESSAGE_OPERATOR_OPEN,
                    (const char *const[]){"LOCKERD_SLOT", label, "LOCKERD_ACTOR", o->actor, NULL},
                    "Slot %s was opened by %s: %s%s", label, o->actor, o->reason,
                    o->reported_open ? " (it was reported open already)" : "");
}

static void open_over(OperatorOpen *o, int result) {
        LockerAnswer answer = {.result = result, .place = o->place};

        if (o->inner && !o->inner->started)
                movement_withdraw(o->inner);
        if (!result)
                record_opened(o);
        o->reply(o->userdata, &answer);
        operator_open_free(o);
}

static void open_inner_done(Movement *m, int result) {
        OperatorOpen *o = m->userdata;

        o->inner = NULL;
        open_over(o, result);
}

static void open_inner(OperatorOpen *o) {
        if (!o->inner) {
                open_over(o, 0);
        } else if (movement_start(o->inner, open_inner_done, o) < 0) {
                movement_withdraw(steal_ptr(o->inner));
                open_over(o, LOCKER_E_POSITION_DID_NOT_OPEN);
        }
}

static void open_door_done(Movement *m, int result) {
        OperatorOpen *o = m->userdata;

        o->door = NULL;
        if (result)
                open_over(o, result);
        else
                open_inner(o);
}

/* What is asked for is pulsed whatever the sensors say: their wire may be broken, and an operator stands
 * there. On the way to a position the door is pulsed unless it is seen to be open. */
static int intend_one(OperatorOpen *o, int lock, bool insist, Movement **ret) {
        Locker *l = o->locker;
        bool is_open = door_is_open(&l->doors[lock]);

        if (is_open && !insist)
                return 0;
        int r = movement_intend(l, lock, LOCK_ACTION_UNLOCK, NULL, 0, "operator", o->actor, o->reason, ret);
        if (r >= 0 && is_open)
                o->reported_open = (*ret)->insist = true;
        return r;
}

static int intend_operator(OperatorOpen *o, int slot, unsigned position) {
        Locker *l = o->locker;
        const Slot *k = &l->cabinet->slots[slot];
        int inner = position ? l->cabinet->positions[k->first_position + (int)position - 1].lock : -1;
        int r = intend_one(o, k->lock, inner < 0, &o->door);

        return r >= 0 && inner >= 0 ? intend_one(o, inner, true, &o->inner) : r;
}

void locker_open_slot(Locker *l, int slot, unsigned position, const char *actor, const char *reason,
                      LockerReply reply, void *userdata) {
        OperatorOpen *o = NULL;
        int r = check_place(l, slot, position, reason);

        if (!r && !place_online(l, slot,
                                position ? l->cabinet->slots[slot].first_position + (int)position - 1 : -1))
                r = LOCKER_E_BOARD_OFFLINE;
        if (!r && !slot_is_clear(l, slot, NULL))
                r = LOCKER_E_SLOT_BUSY;
        if (!r)
                locks_expect(l->locks, l->cabinet->slots[slot].lock);
        if (!r) {
                o = calloc(1, sizeof(*o));
                r = o ? locker_begin(l) : -ENOMEM;
        }
        if (!r) {
                *o = (OperatorOpen){.locker = l,
                                    .reply = reply,
                                    .userdata = userdata,
                                    .actor = strdup(actor),
                                    .reason = strdup(reason),
                                    .place = {.slot = slot, .position = position}};
                r = locker_end(l, o->actor && o->reason ? intend_operator(o, slot, position) : -ENOMEM);
                if (r) {
                        movement_free(o->door);
                        movement_free(o->inner);
                }
        }
        if (r) {
                operator_open_free(o);
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        if (!o->door) {
                open_inner(o);
        } else if (movement_start(o->door, open_door_done, o) < 0) {
                movement_withdraw(steal_ptr(o->door));
                open_over(o, LOCKER_E_SLOT_BUSY);
        }
}

/* --- service --- */

static int write_service(Locker *l, int slot, unsigned position, bool in_service, const char *actor,
                         const char *reason) {
        const Slot *k = &l->cabinet->slots[slot];
        Service service = in_service ? SERVICE_IN : SERVICE_DISABLED;
        char subject[SUBJECT_MAX];
        int r = ledger_service_set(l->ledger, k->label, position, service, in_service ? NULL : reason);

        /* "with all its positions": a slot enabled as a whole has no forgotten quarantine inside. */
        if (in_service && !position)
                for (int i = 1; r >= 0 && i <= k->n_positions; i++)
                        r = ledger_service_set(l->ledger, k->label, (unsigned)i, SERVICE_IN, NULL);
        if (r < 0)
                return r;
        subject_place(l, slot, position, subject);
        return locker_record(l, actor, reason, in_service ? "slot.enabled" : "slot.disabled", subject,
                             data_by(data_place(l, slot, position), actor, reason), NULL);
}

int locker_set_service(Locker *l, int slot, unsigned position, bool in_service, const char *actor,
                       const char *reason) {
        int r = check_place(l, slot, position, reason);

        if (!r)
                r = locker_begin(l);
        if (r)
                return r;
        r = locker_end(l, write_service(l, slot, position, in_service, actor, reason));
        tell_slot(l, slot);
        return r;
}

/* --- reconcile --- */

static int end_found_empty(Locker *l, ParcelRow *p) {
        Now now = l->now();

        p->ended = locker_wall(l, &now);
        switch (p->state) {
        case PARCEL_STORED:
        case PARCEL_REJECTED:
        case PARCEL_RECALLED:
        case PARCEL_UNVERIFIED:
                p->state = PARCEL_RETURNED;
                return 0;
        case PARCEL_RESERVED:
                p->state = PARCEL_CANCELLED;
                return 0;
        case PARCEL_ANNOUNCED:
        case PARCEL_DEPOSITING:
        case PARCEL_COLLECTING:
        case PARCEL_COLLECTED:
        case PARCEL_RETURNED:
        case PARCEL_CANCELLED:
        case PARCEL_STATE_MAX:
                break;
        }
        return LOCKER_E_WRONG_STATE;
}

static bool is_quarantined(Locker *l, const char *label, unsigned position) {
        ServiceRow row = {0};
        bool quarantined = ledger_service_get(l->ledger, label, position, &row) >= 0 &&
                           row.service == SERVICE_QUARANTINED;

        service_row_done(&row);
        return quarantined;
}

static int write_reconcile(Locker *l, int slot, unsigned position, bool found_parcel, const char *actor,
                           const char *reason, uint64_t *ret_parcel) {
        const char *label = l->cabinet->slots[slot].label;
        _cleanup_parcel_ ParcelRow p = {0};
        char subject[SUBJECT_MAX];
        int r = ledger_parcel_at(l->ledger, label, position, &p);

        if (r == -ENOENT && found_parcel)
                return LOCKER_E_WRONG_STATE; /* nobody's parcel: it is for people to find out whose */
        if (r < 0 && r != -ENOENT)
                return r;
        if (r >= 0) {
                if (found_parcel && p.state != PARCEL_UNVERIFIED)
                        return LOCKER_E_WRONG_STATE;
                if (found_parcel) {
                        Now now = l->now();
                        p.state = PARCEL_STORED;
                        /* It was never seen to be stored: from now on it is, and waits as long as any other.
                         */
                        if (!p.stored) {
                                p.stored = locker_wall(l, &now);
                                p.expires = p.stored + (int64_t)l->settings->code_valid_usec;
                        }
                }
                r = found_parcel ? 0 : end_found_empty(l, &p);
                if (!r)
                        r = ledger_parcel_update(l->ledger, &p);
                if (!r)
                        r = locker_record_parcel(l, actor, reason, &p, NULL);
                if (r)
                        return r;
                *ret_parcel = p.id;
        }
        if (!found_parcel) {
                if (!*ret_parcel && !is_quarantined(l, label, position))
                        return LOCKER_E_WRONG_STATE; /* there was nothing to reconcile */
                r = ledger_service_set(l->ledger, label, position, SERVICE_IN, NULL);
                if (r < 0)
                        return r;
        }
        subject_place(l, slot, position, subject);
        return locker_record(l, actor, reason, "slot.reconciled", subject,
                             data_by(json_pack("{s:s, s:i, s:s}", "slot", label, "position", (int)position,
                                               "found", found_parcel ? "parcel" : "empty"),
                                     actor, reason),
                             NULL);
}

int locker_reconcile(Locker *l, int slot, unsigned position, bool found_parcel, const char *actor,
                     const char *reason) {
        uint64_t parcel = 0;
        int r = check_place(l, slot, position, reason);

        if (!r && !position)
                r = LOCKER_E_UNKNOWN_POSITION;
        if (!r && !slot_is_clear(l, slot, NULL))
                r = LOCKER_E_SLOT_BUSY;
        if (!r)
                r = locker_begin(l);
        if (r)
                return r;
        r = locker_end(l, write_reconcile(l, slot, position, found_parcel, actor, reason, &parcel));
        if (!r && parcel)
                tell_parcel(l, parcel);
        if (!r)
                tell_slot(l, slot);
        return r;
}

/* --- parcels --- */

static int change_parcel(Locker *l, uint64_t id, ParcelState to, const char *actor, const char *reason) {
        _cleanup_parcel_ ParcelRow p = {0};
        Now now = l->now();

        if (!reason || !*reason)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = ledger_parcel_get(l->ledger, id, &p);
        if (r == -ENOENT)
                return LOCKER_E_UNKNOWN_PARCEL;
        if (r < 0)
                return r;
        /* "cancelled" is for what has not come yet; what is being put in is the courier's to cancel. */
        if (!parcel_may_become(p.state, to) || (to == PARCEL_CANCELLED && parcel_may_be_inside(p.state)))
                return LOCKER_E_WRONG_STATE;
        r = locker_begin(l);
        if (r < 0)
                return r;
        p.state = to;
        p.ended = parcel_is_final(to) ? locker_wall(l, &now) : 0;
        if (to == PARCEL_RECALLED)
                r = ledger_code_erase(l->ledger, id);
        if (r >= 0)
                r = ledger_parcel_update(l->ledger, &p);
        if (r >= 0)
                r = locker_record_parcel(l, actor, reason, &p, NULL);
        r = locker_end(l, r);
        if (!r)
                tell_parcel(l, id);
        return r;
}

int locker_recall(Locker *l, uint64_t parcel, const char *actor, const char *reason) {
        return change_parcel(l, parcel, PARCEL_RECALLED, actor, reason);
}

int locker_release(Locker *l, uint64_t parcel, const char *actor, const char *reason) {
        return change_parcel(l, parcel, PARCEL_CANCELLED, actor, reason);
}

int locker_new_code(Locker *l, uint64_t parcel, const char *actor, const char *reason, char *ret_code) {
        _cleanup_parcel_ ParcelRow p = {0};
        char code[CODE_LENGTH + 1];
        Now now = l->now();

        if (!reason || !*reason)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = ledger_parcel_get(l->ledger, parcel, &p);
        if (r == -ENOENT)
                return LOCKER_E_UNKNOWN_PARCEL;
        if (r < 0)
                return r;
        if (!parcel_is_collectable(p.state))
                return LOCKER_E_WRONG_STATE;
        r = locker_begin(l);
        if (r < 0)
                return r;
        p.expires = locker_wall(l, &now) + (int64_t)l->settings->code_valid_usec;
        r = ledger_parcel_update(l->ledger, &p);
        if (r >= 0)
                r = code_issue(l, &p, actor, reason, code);
        r = locker_end(l, r);
        if (!r)
                memcpy(ret_code, code, sizeof(code));
        explicit_bzero(code, sizeof(code));
        if (!r) {
                sessions_by_code_end(l, parcel);
                tell_parcel(l, parcel);
        }
        return r;
}

int locker_revoke_code(Locker *l, uint64_t parcel, const char *actor, const char *reason) {
        _cleanup_parcel_ ParcelRow p = {0};
        char subject[SUBJECT_MAX];

        if (!reason || !*reason)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = ledger_parcel_get(l->ledger, parcel, &p);
        if (r == -ENOENT)
                return LOCKER_E_UNKNOWN_PARCEL;
        if (r >= 0 && !parcel_is_collectable(p.state))
                return LOCKER_E_WRONG_STATE;
        if (r >= 0)
                r = locker_begin(l);
        if (r < 0)
                return r;
        r = ledger_code_erase(l->ledger, parcel);
        snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)parcel);
        if (r >= 0)
                r = locker_record(l, actor, reason, "code.revoked", subject, data_parcel(&p), NULL);
        r = locker_end(l, r);
        if (!r)
                sessions_by_code_end(l, parcel);
        return r;
}

int locker_announce(Locker *l, const DepositRequest *q, bool reserve, const char *actor,
                    uint64_t *ret_parcel) {
        _cleanup_parcel_ ParcelRow p = {0};
        Now now = l->now();
        int position = -1, size = q->size ? cabinet_find_size(l->cabinet, q->size) : -1;

        if (size < 0)
                return LOCKER_E_UNKNOWN_SIZE;
        FitRequest fit = {.min_ordinal = l->cabinet->sizes[size].ordinal,
                          .accessible = q->accessible,
                          .temperature = q->temperature,
                          .allow_larger = q->allow_larger};
        if (reserve) {
                Refusal refusal = locker_choose_position(l, NULL, &fit, NULL, &position);
                if (refusal)
                        return (int)refusal;
                const Position *place = &l->cabinet->positions[position];
                snprintf(p.slot, sizeof(p.slot), "%s", l->cabinet->slots[place->slot].label);
                p.position = place->number;
        }
        p.state = reserve ? PARCEL_RESERVED : PARCEL_ANNOUNCED;
        p.created = locker_wall(l, &now);
        snprintf(p.size, sizeof(p.size), "%s", q->size);
        p.recipient = q->recipient ? strdup(q->recipient) : NULL;
        p.phone = q->phone ? strdup(q->phone) : NULL;
        p.waybill = q->waybill ? strdup(q->waybill) : NULL;
        int r = locker_begin(l);
        if (r < 0)
                return r;
        r = ledger_parcel_insert(l->ledger, &p);
        if (r >= 0)
                r = locker_record_parcel(l, actor, NULL, &p, NULL);
        r = locker_end(l, r);
        if (!r) {
                *ret_parcel = p.id;
                tell_parcel(l, p.id);
        }
        return r;
}
