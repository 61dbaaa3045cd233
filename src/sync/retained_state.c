/* SPDX-License-Identifier: Apache-2.0 */
/* The retained state: what somebody who has never heard of this cabinet needs to know of it now. */
#include "sync/retained_state.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "ledger/lineage.h"
#include "message/compose.h"
#include "sync/freshness.h"
#include "sync/mqtt_client.h"
#include "sync/publication.h"
#include "sync/sync_struct.h"
#include "ledger/audit.h"
#include "ledger/events.h"
#include "build-config.h"

#include <errno.h>
#include <stdio.h>

#define FOREIGN_LOG_USEC (60 * USEC_PER_SEC)

void state_topic(const char *cabinet, char ret[TOPIC_MAX]) {
        snprintf(ret, TOPIC_MAX, "lockerd/v1/%s/state", cabinet);
}

char *state_will(const Sync *s) {
        char *will = NULL;

        return compose_will(s->cabinet, &will) < 0 ? NULL : will;
}

static int gather_sizes(Sync *s, StateSize **ret) {
        const Cabinet *c = locker_cabinet(s->locker);
        _cleanup_free_ unsigned *free_positions = calloc((size_t)c->n_sizes + 1, sizeof(*free_positions));
        _cleanup_free_ StateSize *sizes = calloc((size_t)c->n_sizes + 1, sizeof(*sizes));

        if (!free_positions || !sizes)
                return -ENOMEM;
        int r = locker_free_positions(s->locker, free_positions);
        if (r < 0)
                return r;
        for (int i = 0; i < c->n_sizes; i++)
                sizes[i] = (StateSize){.name = c->sizes[i].name,
                                       .label = c->sizes[i].label,
                                       .ordinal = c->sizes[i].ordinal,
                                       .free = free_positions[i]};
        for (int i = 0; i < c->n_positions; i++)
                sizes[c->slots[c->positions[i].slot].size].capacity++;
        *ret = steal_ptr(sizes);
        return 0;
}

static int gather_health(Sync *s, Health **ret_health, StateHealth **ret, size_t *ret_n) {
        _cleanup_free_ Health *health = NULL;
        size_t n;
        int r = locker_health(s->locker, &health, &n);

        if (r < 0)
                return r;
        StateHealth *rows = calloc(n + 1, sizeof(*rows));
        if (!rows)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                rows[i] = (StateHealth){.component = health[i].component,
                                        .state = health[i].state,
                                        .sentence = health[i].sentence};
        *ret_health = steal_ptr(health);
        *ret = rows;
        *ret_n = n;
        return 0;
}

static int make_state(Sync *s, char **ret) {
        const Cabinet *c = locker_cabinet(s->locker);
        _cleanup_free_ StateSize *sizes = NULL;
        _cleanup_free_ FreeKind *kinds = NULL;
        _cleanup_free_ Health *health = NULL;
        _cleanup_free_ StateHealth *rows = NULL;
        char head[AUDIT_HEAD_MAX];
        Now now = clock_now();
        const char *nonce = NULL;
        StateMessage state = {.cabinet = c->number,
                              .name = c->name,
                              .address = c->address,
                              .timezone = c->timezone,
                              .latitude = c->latitude,
                              .longitude = c->longitude,
                              .online = true,
                              .n_sizes = (size_t)c->n_sizes,
                              .version = LOCKERD_VERSION,
                              .ledger_schema = ledger_schema_version(),
                              .epoch = ledger_epoch(s->ledger),
                              .audit_head = head,
                              .clock_synced = now.synced,
                              .clock_vouched = locker_moment(s->locker).vouched,
                              .started_usec = s->started_usec,
                              .now_usec = now.wall_usec};
        int r = gather_sizes(s, &sizes);

        if (r >= 0)
                r = locker_free_kinds(s->locker, &kinds, &state.n_kinds);
        if (r >= 0)
                r = gather_health(s, &health, &rows, &state.n_health);
        if (r >= 0)
                r = freshness_nonce(&s->freshness, now.boot_usec, &nonce);
        if (r >= 0)
                r = ledger_audit_head(s->ledger, head);
        if (r >= 0)
                r = ledger_outbox_length(s->ledger, &state.outbox);
        if (r < 0)
                return r;
        s->told_outbox = state.outbox;
        state.nonce = nonce;
        state.sizes = sizes;
        state.kinds = kinds;
        state.health = rows;
        state.last_event = strtoull(head, NULL, 10);
        return compose_state(&state, ret);
}

bool state_heard(Sync *s, const MqttMessage *m) {
        char topic[TOPIC_MAX];
        uint64_t now = clock_now().boot_usec;

        state_topic(s->cabinet, topic);
        if (!streq(m->topic, topic))
                return false;
        /* A broker that sends back what it was sent. */
        if (!m->too_large && s->state && strlen(s->state) == m->n_payload &&
            memcmp(s->state, m->payload, m->n_payload) == 0)
                return true;
        if (now >= s->foreign_log_at) {
                log_warning("Somebody else has written %s; it is written again", topic);
                s->foreign_log_at = now + FOREIGN_LOG_USEC;
        }
        s->state_dirty = true;
        sync_wake(s);
        return true;
}

void state_publish(Sync *s) {
        _cleanup_free_ char *payload = NULL;
        char topic[TOPIC_MAX];
        int r = make_state(s, &payload);

        if (r >= 0) {
                state_topic(s->cabinet, topic);
                r = mqtt_client_publish(s->client, TOKEN_STATE, topic, payload, strlen(payload), true,
                                        COMPOSE_JSON_TYPE, NULL);
        }
        if (r >= 0) {
                free(s->state);
                s->state = steal_ptr(payload);
        }
        if (r == -EAGAIN || r == -ENOTCONN)
                s->state_dirty = true; /* the next wake-up tries again */
        else if (r < 0)
                log_error_errno(r, "Cannot publish the cabinet's state");
}
