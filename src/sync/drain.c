/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox drains in order: a window of events is under way; what the broker has acknowledged leaves the
 * ledger in batches, because one durable commit an event would cost more than the network. A batch that a
 * power cut loses is sent again, with the same ids. */
#include "sync/private.h"

#include <errno.h>
#include <stdio.h>

#define FLUSH_USEC    (200 * USEC_PER_MSEC)
#define FLUSH_EVENTS  64
#define BOUND_STRETCH 10000

static int note_first(void *userdata, const EventRow *e, const char *secret) {
        *(uint64_t *)userdata = e->sequence;
        return 1;
}

int drain_init(Sync *s) {
        Drain *d = &s->drain;
        uint64_t first = 0;
        int r = ledger_outbox_each(s->ledger, 0, 1, note_first, &first);

        if (r < 0)
                return r;
        if (!first) {
                r = sync_last_event(s, &first);
                if (r < 0)
                        return r;
                first++;
        }
        d->acknowledged = d->sent = d->stored = first - 1;
        d->window = s->settings->mqtt.window;
        d->flush_at = USEC_INFINITY;
        d->marks = calloc(s->settings->mqtt.window, 1);
        return d->marks ? 0 : -ENOMEM;
}

static void flush(Sync *s) {
        Drain *d = &s->drain;
        uint64_t length;

        d->flush_at = USEC_INFINITY;
        if (d->acknowledged == d->stored)
                return;
        int r = ledger_outbox_acknowledge(s->ledger, d->acknowledged);
        if (r < 0) {
                log_error_errno(r, "Cannot clear what the backend has acknowledged; trying again");
                d->flush_at = clock_now().boot_usec + 10 * USEC_PER_SEC;
                return;
        }
        d->stored = d->acknowledged;
        /* The backend waits for this word before it asks for what it misses. */
        if (s->told_outbox && ledger_outbox_length(s->ledger, &length) >= 0 && !length)
                s->state_dirty = true;
}

void drain_done(Sync *s) {
        flush(s);
        free(s->drain.marks);
}

void drain_link(Sync *s, bool connected, unsigned receive_maximum) {
        Drain *d = &s->drain;
        unsigned window = s->settings->mqtt.window;

        /* Whatever was under way is sent again, from the first that was not acknowledged. */
        d->sent = d->acknowledged;
        if (d->replay_next)
                d->replay_next = d->replay_acknowledged + 1;
        memset(d->marks, 0, window);
        /* What is in the ledger now happened while nobody could be told. */
        if (connected && sync_last_event(s, &d->offline_until) < 0)
                d->offline_until = d->acknowledged;
        if (connected)
                d->window = MAX(1U, receive_maximum ? MIN(window, receive_maximum) : window);
}

void drain_acknowledged(Sync *s, uint64_t token) {
        Drain *d = &s->drain;
        unsigned window = s->settings->mqtt.window;

        if (token & TOKEN_REPLAY) {
                token &= ~TOKEN_REPLAY;
                if (token > d->replay_acknowledged && token < d->replay_next)
                        d->replay_acknowledged = token; /* brokers acknowledge in order */
                return;
        }
        if (token <= d->acknowledged || token > d->sent)
                return; /* of a connection that is no more */
        d->marks[token % window] = 1;
        while (d->acknowledged < d->sent && d->marks[(d->acknowledged + 1) % window])
                d->marks[++d->acknowledged % window] = 0;
        if (d->acknowledged - d->stored >= FLUSH_EVENTS)
                flush(s);
        else if (d->acknowledged != d->stored && d->flush_at == USEC_INFINITY)
                d->flush_at = clock_now().boot_usec + FLUSH_USEC;
}

static int publish_event(Sync *s, const EventRow *e, const char *secret, uint64_t token) {
        _cleanup_erase_ char *payload = NULL;
        char topic[TOPIC_MAX];
        int r = codec_event(s->cabinet, e, e->sequence <= s->drain.offline_until, secret, &payload);

        if (r < 0)
                return r;
        snprintf(topic, sizeof(topic), "lockerd/v1/%s/event/%s", s->cabinet, e->type);
        return mqtt_client_publish(s->client, token, topic, payload, strlen(payload), false, CODEC_EVENT_TYPE,
                                   NULL);
}

/* A gap: what lay there was summarised. As far as the window goes, which is counted in sequence numbers, it
 * counts as acknowledged; beyond that the window must run empty first. */
static void skip_gap(Sync *s, uint64_t next) {
        Drain *d = &s->drain;

        if (d->sent == d->acknowledged)
                d->acknowledged = d->sent = next - 1;
        while (d->sent + 1 < next && d->sent - d->acknowledged < d->window)
                d->marks[++d->sent % s->settings->mqtt.window] = 1;
}

static int send_one(void *userdata, const EventRow *e, const char *secret) {
        Sync *s = userdata;
        Drain *d = &s->drain;

        skip_gap(s, e->sequence);
        if (d->sent + 1 != e->sequence || d->sent - d->acknowledged >= d->window)
                return 1;
        int r = publish_event(s, e, secret, e->sequence);
        if (r < 0)
                return r;
        d->sent = e->sequence;
        return 0;
}

static int resend_one(void *userdata, const EventRow *e) {
        Sync *s = userdata;
        Drain *d = &s->drain;

        if (e->sequence > d->replay_to || e->sequence - d->replay_acknowledged > d->window)
                return 1;
        int r = publish_event(s, e, NULL, TOKEN_REPLAY | e->sequence);
        if (r < 0)
                return r;
        d->replay_next = e->sequence + 1;
        return 0;
}

bool drain_replays(const Sync *s) {
        return s->drain.replay_next;
}

void drain_replay(Sync *s, uint64_t from, uint64_t to) {
        s->drain.replay_next = MAX(from, 1U);
        s->drain.replay_acknowledged = s->drain.replay_next - 1;
        s->drain.replay_to = to;
        sync_wake(s);
}

void drain_pump(Sync *s, uint64_t now_boot) {
        Drain *d = &s->drain;
        int r = 0;

        if (now_boot >= d->flush_at)
                flush(s);
        if (!s->connected)
                return;
        if (d->sent - d->acknowledged < d->window)
                r = ledger_outbox_each(s->ledger, d->sent, d->window - (unsigned)(d->sent - d->acknowledged),
                                       send_one, s);
        if (r >= 0 && d->replay_next && d->replay_next <= d->replay_to &&
            d->replay_next - d->replay_acknowledged <= d->window)
                r = ledger_event_each(s->ledger, d->replay_next - 1, d->window, resend_one, s);
        if (d->replay_acknowledged >= d->replay_to)
                d->replay_next = 0;
        /* -EAGAIN: the worker has enough for now and will speak when it has sent some. */
        if (r < 0 && r != -EAGAIN && r != -ENOTCONN)
                log_error_errno(r, "Cannot send events to the backend");
}

/* Bounded by policy: see locker_summarise_outbox(). Only while nothing is under way, a stretch at a time. */
void drain_bound(Sync *s) {
        Drain *d = &s->drain;
        uint64_t length = 0, last = 0;

        if (s->connected || ledger_outbox_length(s->ledger, &length) < 0 ||
            length <= s->settings->mqtt.outbox_max || sync_last_event(s, &last) < 0)
                return;
        uint64_t from = MAX(d->bounded, d->acknowledged),
                 to = MIN(from + BOUND_STRETCH, last - s->settings->mqtt.outbox_max);
        if (from >= to)
                return;
        int r = locker_summarise_outbox(s->locker, from, to);
        if (r < 0)
                log_error_errno(r, "Cannot summarise the outbox");
        else
                d->bounded = to;
}

uint64_t drain_next_deadline(const Sync *s) {
        return s->drain.flush_at;
}
