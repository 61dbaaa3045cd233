/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts as events. A prompt is shown after the commit of what it is about; its event, in a transaction of
 * its own, therefore follows in the outbox. */
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/session.h"

#include <errno.h>
#include <stdio.h>

int locker_record_prompt(Locker *l, const Session *s, int slot, unsigned position, const char *what,
                         const char *sentence) {
        char subject[SUBJECT_MAX];
        int r = locker_begin(l);

        if (r)
                return r;
        snprintf(subject, sizeof(subject), "session:%llu", (unsigned long long)s->id);
        return locker_end(l,
                          locker_record(l, s->actor, NULL, "session.prompt", subject,
                                        json_pack("{s:I, s:I, s:s, s:i, s:s, s:s}", "session",
                                                  (json_int_t)s->id, "parcel", (json_int_t)s->parcel, "slot",
                                                  slot < 0 ? "" : l->cabinet->slots[slot].label, "position",
                                                  (int)position, "what", what, "sentence", sentence),
                                        NULL));
}
