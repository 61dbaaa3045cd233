/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "people/people.h"
#include "people/people_struct.h"
#include "ledger/codes.h"
#include "ledger/parcels.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define CODE_TRIES 16

/* Where to go with the code: the message can be handed to the recipient as it is. */
static json_t *data_code(const People *p, const ParcelRow *parcel, const OfflineReceipt *offline) {
        const Cabinet *c = p->records->cabinet;
        json_t *data = data_parcel(parcel), *place = json_object();
        int r = data ? json_object_set_new(data, "cabinet", json_string(c->number)) : -1;

        if (r >= 0)
                r = json_object_set(data, "place", place);
        if (r >= 0 && offline)
                r = json_object_set_new(data, "deposited", json_integer(offline->deposited_usec));
        if (r >= 0 && c->name && *c->name)
                r = json_object_set_new(place, "name", json_string(c->name));
        if (r >= 0 && c->address && *c->address)
                r = json_object_set_new(place, "address", json_string(c->address));
        if (r >= 0 && isfinite(c->latitude) && isfinite(c->longitude)) {
                r = json_object_set_new(place, "latitude", json_real(c->latitude));
                if (r >= 0)
                        r = json_object_set_new(place, "longitude", json_real(c->longitude));
        }
        json_decref(place);
        if (r >= 0)
                return data;
        json_decref(data);
        return NULL;
}

/* What whoever brings the code to the recipient needs, and nobody else. Fresh, to be erased. */
static char *secret_of(const ParcelRow *parcel, const char *code, const OfflineReceipt *offline) {
        char key[2 * OFFLINE_KEY_SIZE + 1] = "";

        if (offline)
                text_to_hex(offline->key, sizeof(offline->key), key);
        json_t *j = json_pack("{s:s, s:s, s:s*, s:s*}", "code", code, "courier", parcel->courier_number,
                              "phone", parcel->phone && *parcel->phone ? parcel->phone : NULL, "key",
                              offline ? key : NULL);
        char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

        explicit_bzero(key, sizeof(key));
        json_decref(j);
        return text;
}

/* Its event, with which it leaves for the backend. */
static int record_issued(People *p, const ParcelRow *parcel, const char *actor, const char *reason,
                         const char *code, const OfflineReceipt *offline) {
        _cleanup_erase_ char *secret = secret_of(parcel, code, offline);
        json_t *data = secret ? data_code(p, parcel, offline) : NULL;
        char subject[SUBJECT_MAX];

        snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)parcel->id);
        return data ? records_add(p->records, actor, reason, "code.issued", subject, data, secret) : -ENOMEM;
}

static int issue(People *p, ParcelRow *parcel, const char *actor, const char *reason,
                 int (*put)(Ledger *l, uint64_t parcel, const char *code), char ret_code[CODE_LENGTH + 1]) {
        char code[CODE_LENGTH + 1] = "";
        int r = -EEXIST;

        for (int i = 0; r == -EEXIST && i < CODE_TRIES; i++) {
                uint64_t random;
                r = vault_random(&random, sizeof(random));
                if (r < 0)
                        return r;
                code_from_random(p->settings->code_alphabet, random, code);
                r = put(p->ledger, parcel->id, code);
        }
        if (r >= 0)
                r = record_issued(p, parcel, actor, reason, code, NULL);
        if (r >= 0 && ret_code)
                memcpy(ret_code, code, sizeof(code));
        explicit_bzero(code, sizeof(code));
        return r;
}

int people_issue_code(People *p, ParcelRow *parcel, const char *actor, const char *reason,
                      char ret_code[CODE_LENGTH + 1]) {
        return issue(p, parcel, actor, reason, ledger_code_set, ret_code);
}

int people_renew_code(People *p, ParcelRow *parcel, const char *reason) {
        return issue(p, parcel, NULL, reason, ledger_code_renew, NULL);
}

/* --- codes that others can compute --- */

static int derive(const People *p, const OfflineDeposit *d, uint8_t ret_key[OFFLINE_KEY_SIZE],
                  char ret_code[CODE_LENGTH + 1]) {
        uint8_t data[OFFLINE_DATA_MAX], mac[OFFLINE_MAC_SIZE];
        int r = vault_derive(ledger_vault(p->ledger), VAULT_OFFLINE, data, offline_key_info(d, data),
                             ret_key);

        if (r < 0)
                return r;
        vault_mac_by(ret_key, data, offline_code_message(d, data), mac);
        offline_code_of(p->settings->code_alphabet, mac, ret_code);
        explicit_bzero(mac, sizeof(mac));
        return 0;
}

int people_issue_offline_code(People *p, ParcelRow *parcel, const char *actor, const char *reason,
                              OfflineReceipt *ret, char ret_code[CODE_LENGTH + 1]) {
        OfflineDeposit d = {.cabinet = p->records->cabinet->number,
                            .slot = parcel->slot,
                            .usec = MAX(people_wall(p), 0),
                            .parcel = parcel->id};
        OfflineReceipt receipt;
        char code[CODE_LENGTH + 1] = "";
        int r = -EEXIST;

        /* The recorded time is the cabinet's to choose: where another parcel has the code, a later one. */
        for (int i = 0; r == -EEXIST && i < CODE_TRIES; i++, d.usec++) {
                r = derive(p, &d, receipt.key, code);
                receipt.deposited_usec = d.usec;
                if (r >= 0)
                        r = ledger_code_set(p->ledger, parcel->id, code);
        }
        if (r >= 0)
                r = record_issued(p, parcel, actor, reason, code, &receipt);
        if (r >= 0) {
                *ret = receipt;
                memcpy(ret_code, code, sizeof(code));
        }
        explicit_bzero(&receipt, sizeof(receipt));
        explicit_bzero(code, sizeof(code));
        return r;
}

bool people_code_expired(const People *p, const ParcelRow *parcel) {
        Moment now = records_moment(p->records);

        /* Nobody's code expires by a calendar that nobody vouches for: a courier could take the parcel. */
        return parcel_is_collectable(parcel->state) && parcel->expires && now.vouched &&
               now.wall > parcel->expires;
}
