/* SPDX-License-Identifier: Apache-2.0 */
#include "locker/private.h"

#include <errno.h>
#include <stdio.h>

#define CODE_TRIES 16

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
                r = secret ? locker_record(l, actor, reason, "code.issued", subject, data_parcel(p), secret)
                           : -ENOMEM;
        }
        if (r >= 0)
                memcpy(ret_code, code, sizeof(code));
        explicit_bzero(code, sizeof(code));
        return r;
}
