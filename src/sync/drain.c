/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox drains in order. The worker has a window of events under way and some more at hand, so that it
 * never waits for the ledger; they are handed over many at a time, because waking each other for every one
 * costs more than all the rest. What the broker has acknowledged leaves the ledger in batches, too: a durable
 * commit an event would cost more than the network. A batch that a power cut loses is sent again, with the
 * same ids. */
#include "sync/private.h"

#include <errno.h>
#include <stdio.h>

#define FLUSH_USEC    (200 * USEC_PER_MSEC)
#define FLUSH_EVENTS  1024 /* a millisecond or two, and then the commit */
#define FLUSH_EARLY   64   /* when nothing is left under way */
#define AHEAD         256  /* with the worker beyond the window */
#define REFILL        (AHEAD / 2)
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
        d->room = s->settings->mqtt.window + AHEAD;
        d->flush_at = USEC_INFINITY;
        d->marks = calloc(d->room, 1);
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

void drain_link(Sync *s, bool connected) {
        Drain *d = &s->drain;

        /* Whatever was under way is sent again, from the first that was not acknowledged. */
        d->sent = d->acknowledged;
        if (d->replay_next)
                d->replay_next = d->replay_acknowledged + 1;
        memset(d->marks, 0, d->room);
        /* What is in the ledger now happened while nobody could be told. */
        if (connected && sync_last_event(s, &d->offline_until) < 0)
                d->offline_until = d->acknowledged;
}

void drain_acknowledged(Sync *s, uint64_t token) {
        Drain *d = &s->drain;

        if (token & TOKEN_REPLAY) {
                token &= ~TOKEN_REPLAY;
                if (token > d->replay_acknowledged && token < d->replay_next)
                        d->replay_acknowledged = token; /* brokers acknowledge in order */
                return;
        }
        if (token <= d->acknowledged || token > d->sent)
                return; /* of a connection that is no more */
        d->marks[token % d->room] = 1;
        while (d->acknowledged < d->sent && d->marks[(d->acknowledged + 1) % d->room])
                d->marks[++d->acknowledged % d->room] = 0;
        uint64_t fresh = d->acknowledged - d->stored;
        if (fresh >= FLUSH_EVENTS || (fresh >= FLUSH_EARLY && d->acknowledged == d->sent))
                flush(s);
        else if (fresh && d->flush_at == USEC_INFINITY)
                d->flush_at = clock_now().boot_usec + FLUSH_USEC;
}

/* --- handing over --- */

typedef struct Handover {
        Sync *s;
        uint64_t left;        /* the last one that the worker has */
        uint64_t replay_left; /* the first one that it has not */
} Handover;

/* What could not leave was not sent. */
static int hand_over(Handover *h) {
        Drain *d = &h->s->drain;
        int r = mqtt_client_flush(h->s->client);

        if (r < 0) {
                d->sent = MAX(h->left, d->acknowledged);
                d->replay_next = h->replay_left;
                return r;
        }
        h->left = d->sent;
        h->replay_left = d->replay_next;
        return 0;
}

static int queue_event(Handover *h, const EventRow *e, const char *secret, uint64_t token) {
        Sync *s = h->s;
        _cleanup_erase_ char *payload = NULL;
        char topic[TOPIC_MAX];
        const EventMessage message = {.sequence = e->sequence,
                                      .wall_usec = e->wall_usec,
                                      .type = e->type,
                                      .subject = e->subject,
                                      .data = e->data,
                                      .secret = secret,
                                      .synced = e->synced,
                                      .offline = e->sequence <= s->drain.offline_until};
        int r = compose_event(s->cabinet, &message, &payload);

        if (r < 0)
                return r;
        size_t n = strlen(payload);
        snprintf(topic, sizeof(topic), "lockerd/v1/%s/event/%s", s->cabinet, e->type);
        r = mqtt_client_queue(s->client, token, topic, payload, n, COMPOSE_EVENT_TYPE);
        if (r != -ENOBUFS)
                return r;
        r = hand_over(h);
        return r < 0 ? r : mqtt_client_queue(s->client, token, topic, payload, n, COMPOSE_EVENT_TYPE);
}

/* A gap: what lay there was summarised. As far as the room goes, which is counted in sequence numbers, it
 * counts as acknowledged; beyond that the worker must run empty first. */
static void skip_gap(Drain *d, uint64_t next) {
        if (d->sent == d->acknowledged)
                d->acknowledged = d->sent = next - 1;
        while (d->sent + 1 < next && d->sent - d->acknowledged < d->room)
                d->marks[++d->sent % d->room] = 1;
}

static int send_one(void *userdata, const EventRow *e, const char *secret) {
        Handover *h = userdata;
        Drain *d = &h->s->drain;

        skip_gap(d, e->sequence);
        if (d->sent + 1 != e->sequence || d->sent - d->acknowledged >= d->room)
                return 1;
        int r = queue_event(h, e, secret, e->sequence);
        if (r < 0)
                return r;
        d->sent = e->sequence;
        return 0;
}

static int resend_one(void *userdata, const EventRow *e) {
        Handover *h = userdata;
        Drain *d = &h->s->drain;

        if (e->sequence > d->replay_to || e->sequence - d->replay_acknowledged > d->room)
                return 1;
        int r = queue_event(h, e, NULL, TOKEN_REPLAY | e->sequence);
        if (r < 0)
                return r;
        d->replay_next = e->sequence + 1;
        return 0;
}

/* Only when there is room for many: otherwise every acknowledgement would be worth a look into the ledger. */
static int pump_events(Handover *h) {
        Drain *d = &h->s->drain;
        uint64_t with_worker = d->sent - d->acknowledged;

        if (with_worker + REFILL > d->room)
                return 0;
        return ledger_outbox_each(h->s->ledger, d->sent, (unsigned)(d->room - with_worker), send_one, h);
}

static int pump_replay(Handover *h) {
        Drain *d = &h->s->drain;

        if (!d->replay_next || d->replay_next > d->replay_to ||
            d->replay_next - d->replay_acknowledged + REFILL > d->room)
                return 0;
        return ledger_event_each(h->s->ledger, d->replay_next - 1, d->room, resend_one, h);
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
        Handover h = {.s = s, .left = d->sent, .replay_left = d->replay_next};
        int r, left;

        if (now_boot >= d->flush_at)
                flush(s);
        if (!s->connected)
                return;
        r = pump_events(&h);
        if (r >= 0)
                r = pump_replay(&h);
        left = hand_over(&h);
        if (r >= 0)
                r = left;
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
