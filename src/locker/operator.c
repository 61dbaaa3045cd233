/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do, each with who and why in the ledger (F8). */
#include "cabinet/hardware.h"
#include "core/code.h"
#include "core/errand.h"
#include "core/fit.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/parcels.h"
#include "locker/places.h"
#include "locker/recover.h"
#include "locker/sessions.h"
#include "ledger/codes.h"
#include "ledger/parcels.h"
#include "ledger/slots.h"
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
        notify_slot(&l->records, slot);
}

static void tell_parcel(Locker *l, uint64_t id) {
        notify_parcel(&l->records, id);
}

/* --- opening --- */

/* What is asked for is pulsed whatever the sensors say: their wire may be broken, and an operator stands
 * there. On the way to a position the door is pulsed unless it is seen to be open. */
static int begin_open(Locker *l, int slot, int position, const char *actor, const char *reason,
                      Errand **ret) {
        Errand *e;
        int r = errand_new(l, ERRAND_LOOK, NULL, slot, position, &e);

        if (r)
                return r;
        snprintf(e->actor, sizeof(e->actor), "%s", actor);
        e->reason = strdup(reason);
        r = e->reason ? locker_begin(l) : -ENOMEM;
        if (!r)
                r = locker_end(l, errand_intend(e, "operator", false));
        if (r) {
                errand_free(e);
                return r;
        }
        e->reported_open = opening_reported_open(e->opening);
        *ret = e;
        return 0;
}

void locker_open_slot(Locker *l, int slot, unsigned number, const char *actor, const char *reason,
                      LockerReply reply, void *userdata) {
        Errand *e = NULL;
        int position = -1;
        int r = check_place(l, slot, number, reason);

        if (!r && number)
                position = l->cabinet->slots[slot].first_position + (int)number - 1;
        if (!r && !place_online(&l->hardware, slot, position))
                r = LOCKER_E_BOARD_OFFLINE;
        if (!r && !slot_is_clear(l, slot, NULL))
                r = LOCKER_E_SLOT_BUSY;
        if (!r)
                r = begin_open(l, slot, position, actor, reason, &e);
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        errand_begin(e, reply, userdata);
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
        subject_place(l->cabinet, slot, position, subject);
        return locker_record(l, actor, reason, in_service ? "slot.enabled" : "slot.disabled", subject,
                             data_by(data_place(l->cabinet, slot, position), actor, reason), NULL);
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

static int found_empty(const ParcelRow *p, ParcelState *ret) {
        switch (p->state) {
        case PARCEL_STORED:
        case PARCEL_REJECTED:
        case PARCEL_RECALLED:
        case PARCEL_UNVERIFIED:
                *ret = PARCEL_RETURNED;
                return 0;
        case PARCEL_RESERVED:
                *ret = PARCEL_CANCELLED;
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

/* What was given back, or is wanted back, is so still. */
static int found_parcel_there(const ParcelRow *p, ParcelState *ret) {
        if (p->state != PARCEL_UNVERIFIED)
                return LOCKER_E_WRONG_STATE;
        *ret = p->choice == CHOICE_REJECT                               ? PARCEL_REJECTED
               : p->was == PARCEL_REJECTED || p->was == PARCEL_RECALLED ? p->was
                                                                        : PARCEL_STORED;
        return 0;
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
                ParcelState to;
                r = found_parcel ? found_parcel_there(&p, &to) : found_empty(&p, &to);
                if (!r)
                        r = parcel_write(l, &p, to, actor, reason);
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
        subject_place(l->cabinet, slot, position, subject);
        return locker_record(l, actor, reason, "slot.reconciled", subject,
                             data_by(json_pack("{s:s, s:i, s:s}", "slot", label, "position", (int)position,
                                               "found", found_parcel ? "parcel" : "empty"),
                                     actor, reason),
                             NULL);
}

/* A look settles nothing, and what is kept for reopening is settled. */
static bool gives_way_to_reconcile(const Errand *e) {
        return e->m.kind == ERRAND_LOOK || !errand_is_at_work(&e->m);
}

/* Whoever was at it has left its door open, and the operator stands before it. */
static bool is_left_to_reconcile(const Locker *l, int slot, unsigned position) {
        const Errand *e = l->holder[slot];

        return e && e->position == l->cabinet->slots[slot].first_position + (int)position - 1 &&
               !gives_way_to_reconcile(e) && errand_gives_way_to_operator(e);
}

int locker_reconcile(Locker *l, int slot, unsigned position, bool found_parcel, const char *actor,
                     const char *reason) {
        uint64_t parcel = 0;
        int r = check_place(l, slot, position, reason);

        if (!r && !position)
                r = LOCKER_E_UNKNOWN_POSITION;
        if (!r && !slot_is_moving(&l->hardware, slot) && is_left_to_reconcile(l, slot, position))
                errand_yield(l->holder[slot]);
        if (!r && (slot_is_moving(&l->hardware, slot) ||
                   (l->holder[slot] && !gives_way_to_reconcile(l->holder[slot]))))
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
        r = locker_end(l, parcel_write(l, &p, to, actor, reason));
        if (!r)
                parcel_written(l, &p, reason);
        return r;
}

/* Nobody knows whether it is there, and its sensor says that it is not: a courier who is sent for it would
 * open an empty place and seem to have taken it. */
static bool is_gone(const Locker *l, uint64_t parcel) {
        _cleanup_parcel_ ParcelRow p = {0};
        int slot, position;

        return ledger_parcel_get(l->ledger, parcel, &p) >= 0 && p.state == PARCEL_UNVERIFIED &&
               parcel_place(l, &p, &slot, &position) >= 0 &&
               position_occupied(&l->hardware, position) == TRI_NO;
}

int locker_recall(Locker *l, uint64_t parcel, const char *actor, const char *reason) {
        if (reason && *reason && is_gone(l, parcel))
                return LOCKER_E_WRONG_STATE;
        return change_parcel(l, parcel, PARCEL_RECALLED, actor, reason);
}

/* What lies where the cabinet has no slot any more cannot be opened, reconciled or taken back: somebody has
 * taken it out with the compartment. */
static bool is_homeless(const Locker *l, uint64_t parcel) {
        _cleanup_parcel_ ParcelRow p = {0};
        int slot, position;

        return ledger_parcel_get(l->ledger, parcel, &p) >= 0 && parcel_may_be_inside(p.state) &&
               parcel_place(l, &p, &slot, &position) < 0;
}

int locker_release(Locker *l, uint64_t parcel, const char *actor, const char *reason) {
        bool homeless = is_homeless(l, parcel);
        int r = change_parcel(l, parcel, homeless ? PARCEL_RETURNED : PARCEL_CANCELLED, actor, reason);

        if (!r && l->n_homeless)
                homeless_count(l);
        return r;
}

int locker_new_code(Locker *l, uint64_t parcel, const char *actor, const char *reason, char *ret_code) {
        _cleanup_parcel_ ParcelRow p = {0};
        char code[CODE_LENGTH + 1];

        if (!reason || !*reason)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = ledger_parcel_get(l->ledger, parcel, &p);
        if (r == -ENOENT)
                return LOCKER_E_UNKNOWN_PARCEL;
        if (r < 0)
                return r;
        if (!parcel_is_recipients(&p))
                return LOCKER_E_WRONG_STATE;
        r = locker_begin(l);
        if (r < 0)
                return r;
        p.expires = locker_stamp(l, &p, LOOSE_EXPIRES) + (int64_t)l->settings->code_valid_usec;
        r = ledger_parcel_update(l->ledger, &p);
        if (r >= 0)
                r = people_issue_code(l->people, &p, actor, reason, code);
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
        if (r >= 0 && !parcel_is_recipients(&p))
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

/* Whoever may announce must not make every list of parcels long: four for each position, which is several
 * days' worth, and no fewer than this. */
#define ANNOUNCED_MIN          64
#define ANNOUNCED_PER_POSITION 4

static int count_awaited(void *userdata, const PlaceRow *p) {
        *(int *)userdata += p->state == PARCEL_ANNOUNCED || p->state == PARCEL_RESERVED;
        return 0;
}

static int judge_awaited(Locker *l) {
        int n = 0, r = ledger_place_each(l->ledger, NULL, count_awaited, &n);

        return r < 0 ? r
               : n >= MAX(ANNOUNCED_MIN, ANNOUNCED_PER_POSITION * l->cabinet->n_positions)
                       ? LOCKER_E_NO_FREE_POSITION
                       : 0;
}

int locker_announce(Locker *l, const DepositRequest *q, bool reserve, const char *actor,
                    uint64_t *ret_parcel) {
        _cleanup_parcel_ ParcelRow p = {0};
        int position = -1, size = q->size ? cabinet_find_size(l->cabinet, q->size) : -1;

        if (size < 0)
                return LOCKER_E_UNKNOWN_SIZE;
        int full = judge_awaited(l);
        if (full)
                return full;
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
        p.created = locker_wall(l);
        snprintf(p.size, sizeof(p.size), "%s", q->size);
        p.recipient = q->recipient ? strdup(q->recipient) : NULL;
        p.phone = q->phone ? strdup(q->phone) : NULL;
        p.waybill = q->waybill ? strdup(q->waybill) : NULL;
        p.temperature = q->temperature;
        p.accessible = q->accessible;
        p.larger = q->allow_larger;
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
