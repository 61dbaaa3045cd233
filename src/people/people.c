/* SPDX-License-Identifier: Apache-2.0 */
#include "people/people.h"
#include "people/credentials.h"
#include "people/enrolment.h"
#include "people/history.h"
#include "people/lockouts.h"
#include "people/people_struct.h"
#include "people/reminders.h"
#include "people/verification.h"

#include <errno.h>

int people_new(People **ret, const PeopleOptions *o) {
        People *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (People){.records = o->records,
                      .ledger = o->records->ledger,
                      .settings = o->records->settings,
                      .identity = o->identity,
                      .revoked = o->revoked,
                      .userdata = o->userdata,
                      .lockouts_at = USEC_INFINITY};
        memcpy(p->boot_id, o->boot_id, sizeof(p->boot_id));
        int r = reminders_begin(p);
        if (r < 0) {
                free(p);
                return r;
        }
        *ret = p;
        return 0;
}

People *people_free(People *p) {
        if (!p)
                return NULL;
        enrolments_give_up(p);
        verifications_drop(p);
        free(p);
        return NULL;
}

int people_adopt(People *p) {
        int r = lockouts_adopt(p);

        return r < 0 ? r : reminders_adopt(p);
}

void people_tick(People *p, const Now *now) {
        lockouts_tick(p, now);
        reminders_tick(p, now);
        history_tick(p, now);
        credentials_tick(p, now);
}

uint64_t people_next_deadline(const People *p) {
        return MIN(MIN(p->history_at, p->unused_at), MIN(p->lockouts_at, reminders_next_deadline(p)));
}
