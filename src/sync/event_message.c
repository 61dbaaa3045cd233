/* SPDX-License-Identifier: Apache-2.0 */
/* From an event in the ledger to the message that leaves: its secret sealed where that is configured. What
 * cannot be read is said, and holds nothing up. */
#include "sync/event_message.h"
#include "base/log.h"
#include "ledger/lineage.h"
#include "message/compose.h"
#include "message/jwe.h"
#include "sync/publication.h"
#include "sync/sync_struct.h"
#include "ledger/events.h"

#include <errno.h>
#include <stdio.h>

/* -EAGAIN: not before there is a key for it. */
static int seal(const Sync *s, const EventRow *e, const char *secret, char **ret) {
        char id[TOPIC_MAX];
        json_t *sealed = NULL;

        if (!s->sealing)
                return -EAGAIN;
        const char *epoch = ledger_epoch_of(s->ledger, e->sequence);
        snprintf(id, sizeof(id), "%s/%s%s%llu", s->cabinet, epoch, *epoch ? "/" : "",
                 (unsigned long long)e->sequence);
        int r = jwe_seal_object(s->sealing, secret, s->cabinet, "event", id, &sealed);
        if (r < 0)
                return r;
        *ret = json_dumps(sealed, JSON_COMPACT);
        json_decref(sealed);
        return *ret ? 0 : -ENOMEM;
}

int event_message(const Sync *s, const EventRow *e, const char *secret, char **ret) {
        EventMessage m = {.epoch = ledger_epoch_of(s->ledger, e->sequence),
                          .sequence = e->sequence,
                          .wall_usec = e->wall_usec,
                          .type = e->type,
                          .subject = e->subject,
                          .data = e->data,
                          .secret = secret,
                          .synced = e->synced,
                          .offline = e->sequence <= s->drain.offline_until};
        _cleanup_free_ char *sealed = NULL;
        int r = 0;

        if (s->settings->mqtt.sealing_key && secret && *secret) {
                r = seal(s, e, secret, &sealed);
                m.secret = sealed;
        }
        if (r >= 0)
                r = compose_event(s->cabinet, &m, ret);
        if (r == -EUCLEAN && secret) {
                log_error("The secret of event %llu (%s) cannot be read; the event is sent without it",
                          (unsigned long long)e->sequence, e->type);
                m.secret = NULL;
                r = compose_event(s->cabinet, &m, ret);
        }
        if (r == -EUCLEAN)
                log_error("Event %llu (%s) cannot be read; it is left out", (unsigned long long)e->sequence,
                          e->type);
        return r;
}
