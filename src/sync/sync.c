/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/sync.h"
#include "base/log.h"
#include "message/jwe.h"
#include "message/neighbours.h"
#include "mqtt/wire.h"
#include "sync/aside.h"
#include "sync/command_answer.h"
#include "sync/command_errand.h"
#include "sync/command_pace.h"
#include "sync/drain.h"
#include "sync/inbox.h"
#include "sync/lineage.h"
#include "sync/mqtt_client.h"
#include "sync/publication.h"
#include "sync/retained_state.h"
#include "sync/signing_keys.h"
#include "sync/sync_struct.h"
#include "ledger/audit.h"
#include "ledger/events.h"

#include <errno.h>
#include <stdio.h>

/* The retained state follows changes at this distance: a busy cabinet is still one message a second. */
#define STATE_EVERY_USEC USEC_PER_SEC
/* And a change at this one: the events that belong to it are then on their way, acknowledged and cleared. */
#define STATE_AFTER_USEC   (300 * USEC_PER_MSEC)
#define SETTLED_EVERY_USEC (100 * USEC_PER_MSEC)
#define STATE_REFUSED_USEC (30 * USEC_PER_SEC)
#define FORGET_EVERY_USEC  (3600 * USEC_PER_SEC)

int sync_last_event(Sync *s, uint64_t *ret_sequence) {
        char head[AUDIT_HEAD_MAX];
        int r = ledger_audit_head(s->ledger, head);

        if (r < 0)
                return r;
        *ret_sequence = strtoull(head, NULL, 10); /* events and audit rows come in pairs */
        return 0;
}

void sync_wake(Sync *s) {
        (void)sd_event_source_set_enabled(s->defer, SD_EVENT_ONESHOT);
}

static void arm(Sync *s) {
        uint64_t next = MIN(drain_next_deadline(s), MIN(s->forget_at, s->save_at));

        if (lineage_is_settled(s) && s->state_dirty)
                next = MIN(next, s->state_at);
        next = MIN(next, MIN(lineage_next_deadline(s), pace_next_deadline(s)));
        if (!s->resumed && lineage_is_settled(s))
                next = MIN(next, clock_now().boot_usec + SETTLED_EVERY_USEC);
        (void)sd_event_source_set_time(s->timer, next);
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void work(Sync *s) {
        uint64_t now = clock_now().boot_usec;

        lineage_work(s, now);
        drain_pump(s, now);
        if (!s->resumed && lineage_is_settled(s) && locker_is_settled(s->locker)) {
                s->resumed = true;
                inbox_recover(s);
        }
        if (lineage_is_settled(s) && s->state_dirty && now >= s->state_at) {
                s->state_dirty = false;
                s->state_at = now + STATE_EVERY_USEC;
                state_publish(s);
        }
        inbox_work(s);
        if (now >= s->save_at)
                answers_save(s);
        if (now >= s->forget_at) {
                s->forget_at = now + FORGET_EVERY_USEC;
                inbox_forget(s);
                drain_bound(s);
        }
        arm(s);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        work(userdata);
        return 0;
}

static int on_defer(sd_event_source *source, void *userdata) {
        work(userdata);
        return 0;
}

/* --- the network --- */

/* The worst first. */
void sync_tell_health(Sync *s) {
        char trouble[TROUBLE_MAX];

        if (!s->connected)
                locker_set_backend_health(s->locker, "degraded", s->link);
        else if (*s->sealing_trouble)
                locker_set_backend_health(s->locker, "degraded", s->sealing_trouble);
        else if (*s->trouble)
                locker_set_backend_health(s->locker, "degraded", s->trouble);
        else if (*s->state_trouble)
                locker_set_backend_health(s->locker, "degraded", s->state_trouble);
        else if (aside_trouble(&s->drain.asides, s->cabinet, trouble, sizeof(trouble)))
                locker_set_backend_health(s->locker, "degraded", trouble);
        else
                locker_set_backend_health(s->locker, "ok", s->link);
}

static void on_link(void *userdata, bool connected, const char *sentence) {
        Sync *s = userdata;

        if (connected != s->connected || !s->ever_connected)
                log_info("Backend: %s", sentence);
        s->connected = connected;
        s->ever_connected |= connected;
        snprintf(s->link, sizeof(s->link), "%s", sentence);
        s->trouble[0] = s->state_trouble[0] = 0;
        if (!connected)
                neighbours_lost(s->neighbours);
        drain_link(s, connected);
        lineage_link(s, connected);
        sync_tell_health(s);
        s->state_dirty = true;
        s->state_at = 0;
        sync_wake(s);
}

static void on_trouble(void *userdata, const char *sentence) {
        Sync *s = userdata;

        snprintf(s->trouble, sizeof(s->trouble), "%s", sentence ? sentence : "");
        sync_tell_health(s);
}

static void on_acknowledged(void *userdata, uint64_t token) {
        Sync *s = userdata;

        drain_works(s);
        if (token == TOKEN_STATE && *s->state_trouble) {
                s->state_trouble[0] = 0;
                sync_tell_health(s);
        } else if (token != TOKEN_STATE && token != TOKEN_LINEAGE) {
                drain_acknowledged(s, token);
        }
        sync_wake(s);
}

static void state_refused(Sync *s, const char *sentence) {
        if (!*s->state_trouble)
                log_warning("The broker refuses the cabinet's state: %s", sentence);
        snprintf(s->state_trouble, sizeof(s->state_trouble), "The broker refuses lockerd/v1/%s/state: %s",
                 s->cabinet, sentence);
        s->state_dirty = true;
        s->state_at = clock_now().boot_usec + STATE_REFUSED_USEC;
        sync_tell_health(s);
}

static void on_refused(void *userdata, uint64_t token, unsigned reason, const char *sentence) {
        Sync *s = userdata;

        /* The state is kept for whoever comes, and an answer was asked for: whoever repeats the command gets
         * it. */
        if (token == TOKEN_STATE && reason >= MQTT_REASON_REFUSED)
                state_refused(s, sentence);
        else if (token == TOKEN_LINEAGE && reason >= MQTT_REASON_REFUSED)
                log_warning("The broker refuses lockerd/v1/%s/ledger: %s", s->cabinet, sentence);
        else if (token == TOKEN_STATE || token == TOKEN_LINEAGE)
                on_acknowledged(s, token);
        else if (token == TOKEN_NOBODY && reason >= MQTT_REASON_REFUSED)
                log_warning("The broker refuses the answer to a command: %s", sentence);
        else if (token != TOKEN_NOBODY)
                drain_refused(s, token, reason, sentence);
        sync_wake(s);
}

static bool neighbour_state(Sync *s, const MqttMessage *m) {
        char topic[TOPIC_MAX];

        for (size_t i = 0; i < neighbours_count(s->neighbours); i++) {
                state_topic(neighbours_number(s->neighbours, i), topic);
                if (!streq(m->topic, topic))
                        continue;
                neighbours_hear(s->neighbours, i, m->too_large ? NULL : m->payload, m->n_payload);
                return true;
        }
        return false;
}

static void on_message(void *userdata, const MqttMessage *m) {
        Sync *s = userdata;

        if (!state_heard(s, m) && !lineage_heard(s, m) && !neighbour_state(s, m))
                inbox_message(s, m);
}

static const MqttHandlers mqtt_handlers = {.link = on_link,
                                           .trouble = on_trouble,
                                           .acknowledged = on_acknowledged,
                                           .refused = on_refused,
                                           .message = on_message};

/* --- the cabinet --- */

static void changed(Sync *s) {
        if (!s->state_dirty)
                s->state_at = MAX(s->state_at, clock_now().boot_usec + STATE_AFTER_USEC);
        s->state_dirty = true;
        sync_wake(s);
}

static void on_slot(void *userdata, int slot) {
        changed(userdata);
}

static void on_parcel(void *userdata, uint64_t id) {
        changed(userdata);
}

static void on_prompt(void *userdata, Session *session, int slot, unsigned position, const char *what,
                      const char *sentence) {
        command_prompt(userdata, session, slot, position, what, sentence);
}

static void on_health(void *userdata) {
        changed(userdata);
}

static void on_event(void *userdata, const EventRow *event) {
        changed(userdata);
}

static const LockerListener sync_listener = {
        .slot = on_slot, .parcel = on_parcel, .prompt = on_prompt, .health = on_health, .event = on_event};

/* --- start and stop --- */

static int connect_client(Sync *s) {
        _cleanup_free_ char *will = state_will(s);
        char topic[TOPIC_MAX], filter[TOPIC_MAX], ledger[TOPIC_MAX], states[COMMUNITY_MAX][TOPIC_MAX];
        const char *subscriptions[COMMUNITY_MAX + 4] = {filter, topic, ledger};
        const MqttOptions options = {.settings = &s->settings->mqtt,
                                     .worker_directory = s->settings->worker_directory,
                                     .cabinet = s->cabinet,
                                     .will_topic = topic,
                                     .will = will,
                                     .subscriptions = subscriptions};

        if (!will)
                return -ENOMEM;
        for (size_t i = 0; i < neighbours_count(s->neighbours); i++) {
                state_topic(neighbours_number(s->neighbours, i), states[i]);
                subscriptions[i + 3] = states[i];
        }
        state_topic(s->cabinet, topic);
        lineage_topic(s->cabinet, ledger);
        snprintf(filter, sizeof(filter), "lockerd/v1/%s/command/+", s->cabinet);
        return mqtt_client_new(&s->client, s->event, &options, &mqtt_handlers, s);
}

static int add_sources(Sync *s) {
        int r = sd_event_add_time(s->event, &s->timer, CLOCK_BOOTTIME, 0, 1, on_timer, s);

        if (r >= 0)
                r = sd_event_add_defer(s->event, &s->defer, on_defer, s);
        /* Locks and people first: the backend has time. */
        if (r >= 0)
                r = sd_event_source_set_priority(s->defer, SD_EVENT_PRIORITY_NORMAL + 20);
        return r < 0 ? r : sd_event_source_set_enabled(s->defer, SD_EVENT_ONESHOT);
}

int sync_new(Sync **ret, sd_event *event, Locker *locker, const Settings *settings) {
        _cleanup_(sync_freep) Sync *s = NULL;
        int r;

        *ret = NULL;
        if (!settings->mqtt.host)
                return 0;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (Sync){.event = sd_event_ref(event),
                    .locker = locker,
                    .ledger = locker_ledger(locker),
                    .settings = settings,
                    .cabinet = locker_cabinet(locker)->number,
                    .started_usec = clock_now().wall_usec,
                    .state_dirty = true,
                    .save_at = USEC_INFINITY,
                    .drain.flush_at = USEC_INFINITY,
                    .drain.again_at = USEC_INFINITY};
        r = keys_load(s);
        if (r >= 0)
                r = neighbours_new(&s->neighbours, s->cabinet, settings->mqtt.community);
        if (r >= 0)
                r = inbox_init(s);
        if (r >= 0)
                r = drain_init(s);
        if (r >= 0)
                r = add_sources(s);
        if (r >= 0)
                r = connect_client(s);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the backend's side");
        r = locker_add_listener(locker, &sync_listener, s);
        if (r < 0)
                return r;
        locker_set_backend_health(locker, "degraded", "Not connected yet.");
        *ret = steal_ptr(s);
        return 0;
}

Sync *sync_free(Sync *s) {
        if (!s)
                return NULL;
        locker_remove_listener(s->locker, s);
        if (s->client)
                lineage_mark(s);
        mqtt_client_free(s->client);
        if (s->drain.marks)
                drain_done(s);
        sd_event_source_unref(s->timer);
        sd_event_source_unref(s->defer);
        sd_event_unref(s->event);
        answers_done(s);
        free(s->state);
        neighbours_free(s->neighbours);
        key_ring_free(s->ring);
        sealing_key_free(s->sealing);
        free(s);
        return NULL;
}
