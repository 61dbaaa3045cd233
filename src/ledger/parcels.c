/* SPDX-License-Identifier: Apache-2.0 */
/* Live parcels, and the move of ended ones to the history. */
#include "base/text.h"
#include "ledger/codes.h"
#include "ledger/parcels.h"
#include "ledger/sql.h"

#include <errno.h>

/* Labels of sealed values; a part of the file format. */
#define LABEL_RECIPIENT "parcel.recipient"
#define LABEL_PHONE     "parcel.phone"

void parcel_row_done(ParcelRow *p) {
        free(p->waybill);
        text_erase_free(p->recipient);
        text_erase_free(p->phone);
        *p = (ParcelRow){0};
}

bool parcel_is_recipients(const ParcelRow *p) {
        return parcel_is_collectable(p->state) && !p->doubted && p->was != PARCEL_REJECTED &&
               p->was != PARCEL_RECALLED && p->choice != CHOICE_REJECT;
}

static int parcel_read(const Query *q, ParcelRow *ret) {
        _cleanup_parcel_ ParcelRow p = {
                .id = column_u64(q, 0),
                .position = (unsigned)column_i64(q, 3),
                .person = column_u64(q, 8),
                .courier = column_u64(q, 9),
                .created = column_i64(q, 11),
                .stored = column_i64(q, 12),
                .expires = column_i64(q, 13),
                .ended = column_i64(q, 14),
                .taking_back = column_i64(q, 16) != 0,
                .accessible = column_i64(q, 19) != 0,
                .larger = column_i64(q, 20) != 0,
                .loose = (unsigned)column_i64(q, 21),
                .doubted = column_i64(q, 22) != 0,
        };
        const Vault *v = q->ledger->vault;

        if (parcel_state_from_string(column_text(q, 1), &p.state) < 0 ||
            parcel_choice_from_string(column_text(q, 15), &p.choice) < 0 ||
            (column_text(q, 17) && parcel_state_from_string(column_text(q, 17), &p.was) < 0) ||
            temperature_from_string(column_text(q, 18), &p.temperature) < 0)
                return -EUCLEAN;
        /* Also one whose row was changed behind the daemon's back. */
        if (p.doubted && parcel_may_be_inside(p.state) && p.state != PARCEL_RESERVED)
                p.state = PARCEL_UNVERIFIED;
        column_label_cut(q, 2, p.slot, sizeof(p.slot));
        column_label_cut(q, 4, p.size, sizeof(p.size));
        column_label_cut(q, 10, p.courier_number, sizeof(p.courier_number));
        int r = column_dup(q, 5, &p.waybill);
        if (r >= 0)
                r = sealed_read(q, 6, v, LABEL_RECIPIENT, NULL, &p.recipient);
        if (r >= 0 || (r == -EUCLEAN && p.doubted))
                r = sealed_read(q, 7, v, LABEL_PHONE, NULL, &p.phone);
        if (r == -EUCLEAN && p.doubted)
                r = 0; /* nobody's, in a row that somebody else has written */
        if (r < 0)
                return r;
        *ret = p;
        p = (ParcelRow){0};
        return 0;
}

int ledger_parcel_insert(Ledger *l, ParcelRow *p) {
        _cleanup_query_ Query q = {0};
        _cleanup_sealed_ Sealed recipient = {0}, phone = {0};
        uint8_t tail[VAULT_MAC_SIZE];

        if (!parcel_may_begin(p->state))
                return -EINVAL;
        int r = sealed_make(&recipient, l->vault, LABEL_RECIPIENT, NULL, p->recipient);
        if (r >= 0)
                r = sealed_make(&phone, l->vault, LABEL_PHONE, NULL, p->phone);
        if (r >= 0)
                r = query_begin(&q, l, SQL_PARCEL_INSERT);
        if (r < 0)
                return r;
        bool has_tail = phone_tail_mac(l->vault, p->phone, tail);
        query_text(&q, 1, parcel_state_to_string(p->state));
        query_label(&q, 2, p->slot);
        query_id(&q, 3, p->slot[0] ? p->position : 0);
        query_text(&q, 4, p->size);
        query_text(&q, 5, p->waybill);
        query_blob(&q, 6, recipient.data, recipient.n);
        query_blob(&q, 7, phone.data, phone.n);
        query_blob(&q, 8, has_tail ? tail : NULL, sizeof(tail));
        query_id(&q, 9, p->person);
        query_id(&q, 10, p->courier);
        query_label(&q, 11, p->courier_number);
        query_i64(&q, 12, p->created);
        query_time(&q, 13, p->stored);
        query_time(&q, 14, p->expires);
        query_text(&q, 15, temperature_to_string(p->temperature));
        query_i64(&q, 16, p->accessible);
        query_i64(&q, 17, p->larger);
        query_i64(&q, 18, p->loose);
        r = query_run(&q);
        if (r < 0)
                return r;
        p->id = (uint64_t)sqlite3_last_insert_rowid(l->db);
        return 0;
}

static int parcel_one(Ledger *l, Statement s, uint64_t id, ParcelRow *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, s);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        r = query_row(&q);
        return r < 0 ? r : parcel_read(&q, ret);
}

int ledger_parcel_get(Ledger *l, uint64_t id, ParcelRow *ret) {
        return parcel_one(l, SQL_PARCEL_GET, id, ret);
}

int ledger_parcel_history(Ledger *l, uint64_t id, ParcelRow *ret) {
        return parcel_one(l, SQL_PARCEL_HISTORY, id, ret);
}

int ledger_parcel_at(Ledger *l, const char *slot, unsigned position, ParcelRow *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PARCEL_AT);
        if (r < 0)
                return r;
        query_text(&q, 1, slot);
        query_u64(&q, 2, position);
        r = query_row(&q);
        return r < 0 ? r : parcel_read(&q, ret);
}

static int parcel_state(Ledger *l, uint64_t id, ParcelState *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PARCEL_STATE);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        r = query_row(&q);
        if (r < 0)
                return r;
        return parcel_state_from_string(column_text(&q, 0), ret) < 0 ? -EUCLEAN : 0;
}

static void bind_changes(Query *q, const ParcelRow *p) {
        query_u64(q, 1, p->id);
        query_text(q, 2, parcel_state_to_string(p->state));
        query_label(q, 3, p->slot);
        query_id(q, 4, p->slot[0] ? p->position : 0);
        query_text(q, 5, p->size);
        query_id(q, 6, p->person);
        query_id(q, 7, p->courier);
        query_label(q, 8, p->courier_number);
        query_time(q, 9, p->stored);
        query_time(q, 10, p->expires);
}

static int parcel_change(Ledger *l, const ParcelRow *p) {
        _cleanup_query_ Query q = {0};
        _cleanup_sealed_ Sealed recipient = {0}, phone = {0};
        uint8_t tail[VAULT_MAC_SIZE];

        int r = sealed_make(&recipient, l->vault, LABEL_RECIPIENT, NULL, p->recipient);
        if (r >= 0)
                r = sealed_make(&phone, l->vault, LABEL_PHONE, NULL, p->phone);
        if (r >= 0)
                r = query_begin(&q, l, SQL_PARCEL_UPDATE);
        if (r < 0)
                return r;
        bool has_tail = phone_tail_mac(l->vault, p->phone, tail);
        bind_changes(&q, p);
        query_text(&q, 11, p->waybill);
        query_blob(&q, 12, recipient.data, recipient.n);
        query_blob(&q, 13, phone.data, phone.n);
        query_blob(&q, 14, has_tail ? tail : NULL, sizeof(tail));
        query_text(&q, 15, parcel_choice_to_string(p->choice));
        query_i64(&q, 16, p->taking_back);
        query_text(&q, 17, p->was == PARCEL_ANNOUNCED ? NULL : parcel_state_to_string(p->was));
        query_i64(&q, 18, p->loose);
        return query_run(&q);
}

/* The hash of the number that is stored with the parcel: what ends need not carry it. */
static int stored_phone_mac(Ledger *l, uint64_t id, uint8_t ret[VAULT_MAC_SIZE], bool *ret_some) {
        _cleanup_parcel_ ParcelRow p = {0};
        int r = ledger_parcel_get(l, id, &p);

        *ret_some = r >= 0 && phone_mac(l->vault, p.phone, ret);
        /* One that cannot be read any more must still be able to end. */
        return r == -EUCLEAN ? 0 : r;
}

static int parcel_end(Ledger *l, const ParcelRow *p) {
        _cleanup_query_ Query q = {0};
        uint8_t mac[VAULT_MAC_SIZE] = {0};
        bool some;

        int r = stored_phone_mac(l, p->id, mac, &some);
        if (r >= 0)
                r = query_begin(&q, l, SQL_PARCEL_END);
        if (r < 0)
                return r;
        bind_changes(&q, p);
        query_time(&q, 11, p->ended);
        query_blob(&q, 12, some ? mac : NULL, sizeof(mac));
        return query_run(&q);
}

static int parcel_delete(Ledger *l, uint64_t id) {
        _cleanup_query_ Query q = {0};

        int r = ledger_code_erase(l, id);
        if (r >= 0)
                r = query_begin(&q, l, SQL_PARCEL_DELETE);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        return query_run(&q);
}

int ledger_parcel_update(Ledger *l, const ParcelRow *p) {
        ParcelState before;
        bool own;

        int r = parcel_state(l, p->id, &before);
        if (r < 0)
                return r;
        if (before != p->state && !parcel_may_become(before, p->state))
                return -EINVAL;
        if (!parcel_is_final(p->state))
                return parcel_change(l, p);
        if (p->ended == 0)
                return -EINVAL;
        r = scope_begin(l, &own);
        if (r < 0)
                return r;
        r = parcel_end(l, p);
        if (r >= 0)
                r = parcel_delete(l, p->id);
        return scope_end(l, own, r);
}

int ledger_parcel_doubt_all(Ledger *l, uint64_t *ret_n) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_PARCEL_DOUBT);

        if (r >= 0)
                r = query_run(&q);
        if (r >= 0)
                *ret_n = (uint64_t)sqlite3_changes(l->db);
        return r;
}

int ledger_parcel_doubt(Ledger *l, uint64_t id) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_PARCEL_DOUBT);

        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        r = query_run(&q);
        return r < 0 ? r : sqlite3_changes(l->db) > 0 ? 0 : -ENOENT;
}

static int each_row(Query *q, ParcelEach each, void *userdata) {
        int r;

        while ((r = query_step(q)) > 0) {
                _cleanup_parcel_ ParcelRow p = {0};
                r = parcel_read(q, &p);
                if (r >= 0)
                        r = each(userdata, &p);
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_parcel_each(Ledger *l, ParcelEach each, void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PARCEL_EACH);
        return r < 0 ? r : each_row(&q, each, userdata);
}

int ledger_parcel_each_loose(Ledger *l, int (*each)(void *userdata, uint64_t id), void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PARCEL_EACH_LOOSE);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                r = each(userdata, column_u64(&q, 0));
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_parcel_each_of_person(Ledger *l, uint64_t person, ParcelEach each, void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PARCEL_EACH_OF_PERSON);
        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        return each_row(&q, each, userdata);
}

int ledger_parcel_each_of_phone_tail(Ledger *l, const char *tail4, ParcelEach each, void *userdata) {
        _cleanup_query_ Query q = {0};
        uint8_t tail[VAULT_MAC_SIZE];

        if (strlen(tail4) != 4 || !phone_tail_mac(l->vault, tail4, tail))
                return -EINVAL;
        int r = query_begin(&q, l, SQL_PARCEL_EACH_OF_TAIL);
        if (r < 0)
                return r;
        query_blob(&q, 1, tail, sizeof(tail));
        return each_row(&q, each, userdata);
}

int ledger_parcel_each_of_waybill(Ledger *l, const char *waybill, ParcelEach each, void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PARCEL_EACH_OF_WAYBILL);
        if (r < 0)
                return r;
        query_text(&q, 1, waybill);
        return each_row(&q, each, userdata);
}

int ledger_parcel_each_in_slot(Ledger *l, const char *slot, ParcelEach each, void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PARCEL_EACH_IN_SLOT);
        if (r < 0)
                return r;
        query_text(&q, 1, slot);
        return each_row(&q, each, userdata);
}

int ledger_place_each(Ledger *l, const char *slot_or_null, int (*each)(void *userdata, const PlaceRow *p),
                      void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, slot_or_null ? SQL_PLACE_EACH_IN_SLOT : SQL_PLACE_EACH);
        if (r < 0)
                return r;
        if (slot_or_null)
                query_text(&q, 1, slot_or_null);
        while ((r = query_step(&q)) > 0) {
                PlaceRow p = {
                        .id = column_u64(&q, 0),
                        .position = (unsigned)column_i64(&q, 3),
                        .expires = column_i64(&q, 4),
                };
                if (parcel_state_from_string(column_text(&q, 1), &p.state) < 0)
                        return -EUCLEAN;
                column_label_cut(&q, 2, p.slot, sizeof(p.slot));
                r = each(userdata, &p);
                if (r != 0)
                        return r;
        }
        return r;
}
