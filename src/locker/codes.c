/* SPDX-License-Identifier: Apache-2.0 */
#include "locker/private.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define CODE_TRIES 16

/* Where to go with the code: the message can be handed to the recipient as it is. */
static json_t *data_code(const Locker *l, const ParcelRow *p) {
        const Cabinet *c = l->cabinet;
        json_t *data = data_parcel(p), *place = json_object();
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

/* Makes a code that no other parcel here has; its plaintext leaves by the caller's reply and, sealed, by the
 * outbox. */
int code_issue(Locker *l, ParcelRow *p, const char *actor, const char *reason,
               char ret_code[CODE_LENGTH + 1]) {
        _cleanup_erase_ char *secret = NULL;
        char code[CODE_LENGTH + 1], subject[SUBJECT_MAX];
        int r = -EEXIST;

        for (int i = 0; r == -EEXIST && i < CODE_TRIES; i++) {
                uint64_t random;
                r = vault_random(&random, sizeof(random));
                if (r < 0)
                        return r;
                code_from_random(l->settings->code_alphabet, random, code);
                r = ledger_code_set(l->ledger, p->id, code);
        }
        if (r >= 0) {
                snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)p->id);
                secret = text_printf("{\"code\":\"%s\",\"courier\":\"%s\"}", code, p->courier_number);
                json_t *data = secret ? data_code(l, p) : NULL;
                r = data ? locker_record(l, actor, reason, "code.issued", subject, data, secret) : -ENOMEM;
        }
        if (r >= 0)
                memcpy(ret_code, code, sizeof(code));
        explicit_bzero(code, sizeof(code));
        return r;
}
