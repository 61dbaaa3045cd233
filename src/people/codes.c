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
static json_t *data_code(const People *p, const ParcelRow *parcel) {
        const Cabinet *c = p->records->cabinet;
        json_t *data = data_parcel(parcel), *place = json_object();
        int r = data ? json_object_set_new(data, "cabinet", json_string(c->number)) : -1;

        if (r >= 0)
                r = json_object_set(data, "place", place);
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
static char *secret_of(const ParcelRow *parcel, const char *code) {
        json_t *j = json_pack("{s:s, s:s, s:s*}", "code", code, "courier", parcel->courier_number, "phone",
                              parcel->phone && *parcel->phone ? parcel->phone : NULL);
        char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

        json_decref(j);
        return text;
}

static int issue(People *p, ParcelRow *parcel, const char *actor, const char *reason,
                 int (*put)(Ledger *l, uint64_t parcel, const char *code), char ret_code[CODE_LENGTH + 1]) {
        _cleanup_erase_ char *secret = NULL;
        char code[CODE_LENGTH + 1] = "", subject[SUBJECT_MAX];
        int r = -EEXIST;

        for (int i = 0; r == -EEXIST && i < CODE_TRIES; i++) {
                uint64_t random;
                r = vault_random(&random, sizeof(random));
                if (r < 0)
                        return r;
                code_from_random(p->settings->code_alphabet, random, code);
                r = put(p->ledger, parcel->id, code);
        }
        if (r >= 0) {
                snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)parcel->id);
                secret = secret_of(parcel, code);
                json_t *data = secret ? data_code(p, parcel) : NULL;
                r = data ? records_add(p->records, actor, reason, "code.issued", subject, data, secret)
                         : -ENOMEM;
        }
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

bool people_code_expired(const People *p, const ParcelRow *parcel) {
        Moment now = records_moment(p->records);

        /* Nobody's code expires by a calendar that nobody vouches for: a courier could take the parcel. */
        return parcel_is_collectable(parcel->state) && parcel->expires && now.vouched &&
               now.wall > parcel->expires;
}
