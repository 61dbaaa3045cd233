/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox drains in order. The worker has a window of events under way and some more at hand, so that it
 * never waits for the ledger; they are handed over many at a time, because waking each other for every one
 * costs more than all the rest. What the broker has acknowledged leaves the ledger in batches, too: a durable
 * commit an event would cost more than the network. A batch that a power cut loses is sent again, with the
 * same ids. What the broker refuses, or nobody hears, is set aside (aside.h) and holds nothing up. */
#include "sync/drain.h"
#include "base/log.h"
#include "base/text.h"
#include "ledger/ledger.h"
#include "message/compose.h"
#include "mqtt/wire.h"
#include "sync/aside.h"
#include "sync/event_message.h"
#include "sync/lineage.h"
#include "sync/mqtt_client.h"
#include "sync/publication.h"
#include "sync/sync_struct.h"
#include "ledger/events.h"

#include <errno.h>
#include <stdio.h>

#define FLUSH_USEC    (200 * USEC_PER_MSEC)
#define FLUSH_EVENTS  1024 /* a millisecond or two, and then the commit */
#define FLUSH_EARLY   64   /* when nothing is left under way */
#define AHEAD         256  /* with the worker beyond the window */
#define REFILL        (AHEAD / 2)
#define BOUND_STRETCH 10000
#define AGAIN_USEC    (30 * USEC_PER_SEC)
#define BREAKS_ALONE  2 /* so many in a row: the first event is sent alone */
#define BREAKS_ASIDE  4 /* and then set aside */

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
        d->again_at = USEC_INFINITY;
        d->marks = calloc(d->room, 1);
        d->asides.all = calloc(ASIDE_MAX, sizeof(*d->asides.all));
        return d->marks && d->asides.all ? 0 : -ENOMEM;
}

/* All up to what is acknowledged, except for what was set aside; and of that what has been delivered since.
 */
static int clear_with_asides(Sync *s) {
        Drain *d = &s->drain;
        uint64_t from = d->stored;
        int r = ledger_begin(s->ledger);

        for (size_t i = 0; i < d->asides.n && r >= 0; i++) {
                const Aside *a = &d->asides.all[i];
                if (a->state == ASIDE_DONE)
                        r = ledger_outbox_acknowledge(s->ledger, a->sequence - 1, a->sequence);
                if (a->sequence <= from || a->sequence > d->acknowledged)
                        continue;
                if (r >= 0)
                        r = ledger_outbox_acknowledge(s->ledger, from, a->sequence - 1);
                from = a->sequence;
        }
        if (r >= 0)
                r = ledger_outbox_acknowledge(s->ledger, from, d->acknowledged);
        if (r >= 0)
                return ledger_commit(s->ledger);
        ledger_rollback(s->ledger);
        return r;
}

static void flush(Sync *s) {
        Drain *d = &s->drain;
        uint64_t length;

        d->flush_at = USEC_INFINITY;
        if (d->acknowledged == d->stored && !d->asides.n_done)
                return;
        int r = d->asides.n ? clear_with_asides(s)
                            : ledger_outbox_acknowledge(s->ledger, d->stored, d->acknowledged);
        if (r < 0) {
                log_error_errno(r, "Cannot clear what the backend has acknowledged; trying again");
                d->flush_at = clock_now().boot_usec + 10 * USEC_PER_SEC;
                return;
        }
        d->stored = d->acknowledged;
        aside_forget_done(&d->asides);
        /* The backend waits for this word before it asks for what it misses. */
        if (s->told_outbox && ledger_outbox_length(s->ledger, &length) >= 0 && !length)
                s->state_dirty = true;
}

static void flush_later(Drain *d) {
        if (d->flush_at == USEC_INFINITY)
                d->flush_at = clock_now().boot_usec + FLUSH_USEC;
}

void drain_done(Sync *s) {
        flush(s);
        free(s->drain.marks);
        free(s->drain.asides.all);
}

/* Whatever was under way is sent again, from the first that was not acknowledged. */
static void send_again(Drain *d) {
        d->sent = d->acknowledged;
        d->again_at = USEC_INFINITY;
        memset(d->marks, 0, d->room);
}

static AsideTopic *block(Sync *s, const char *type, unsigned reason, const char *sentence) {
        Asides *a = &s->drain.asides;
        bool unheard = reason < MQTT_REASON_REFUSED, known = aside_blocked(a, type);
        AsideTopic *t = aside_block(a, type, unheard, sentence, clock_now().boot_usec);

        if (t && !known) {
                if (unheard)
                        log_warning("Nobody listens to lockerd/v1/%s/event/%s: such events are kept",
                                    s->cabinet, type);
                else
                        log_warning("The broker refuses lockerd/v1/%s/event/%s (%s): such events are kept",
                                    s->cabinet, type, sentence);
        }
        return t;
}

static int note_type(void *userdata, const EventRow *e, const char *secret) {
        snprintf(userdata, ASIDE_TYPE, "%s", e->type);
        return 1;
}

/* Some brokers close the connection instead of refusing: whatever is sent first then would be sent for ever.
 * A connection that took something else, and broke without taking this, is held against it. */
static void suspect_first(Sync *s) {
        Drain *d = &s->drain;
        char type[ASIDE_TYPE] = "", why[] = "the connection breaks after it";

        if (d->event_taken) {
                d->suspect = d->breaks = d->mute = 0;
                return;
        }
        if (d->sent == d->acknowledged)
                return;
        if (!d->taken) {
                d->mute++;
                return;
        }
        if (d->suspect != d->acknowledged + 1)
                d->breaks = 0;
        d->suspect = d->acknowledged + 1;
        if (++d->breaks < BREAKS_ASIDE ||
            ledger_outbox_each(s->ledger, d->suspect - 1, 1, note_type, type) < 0 || !*type)
                return;
        AsideTopic *t = block(s, type, MQTT_REASON_REFUSED, why);
        if (!t)
                return;
        t->breaks = true;
        d->breaks = 0;
        /* From now on events of this type are set aside when it is their turn, this one as well. */
}

void drain_works(Sync *s) {
        s->drain.taken = true;
}

void drain_link(Sync *s, bool connected) {
        Drain *d = &s->drain;

        if (!aside_link(&d->asides, clock_now().boot_usec) && !connected)
                suspect_first(s);
        d->taken = d->event_taken = false;
        send_again(d);
        if (d->replay_next)
                d->replay_next = d->replay_acknowledged + 1;
        /* What is in the ledger now happened while nobody could be told. */
        if (connected && sync_last_event(s, &d->offline_until) < 0)
                d->offline_until = d->acknowledged;
}

/* Out of turn or not. */
static void mark(Drain *d, uint64_t sequence) {
        d->marks[sequence % d->room] = 1;
        while (d->acknowledged < d->sent && d->marks[(d->acknowledged + 1) % d->room])
                d->marks[++d->acknowledged % d->room] = 0;
}

void drain_acknowledged(Sync *s, uint64_t token) {
        Drain *d = &s->drain;
        Aside *a;

        if (token & TOKEN_REPLAY) {
                token &= ~TOKEN_REPLAY;
                if (token > d->replay_acknowledged && token < d->replay_next)
                        d->replay_acknowledged = token; /* brokers acknowledge in order */
                return;
        }
        d->taken = d->event_taken = true;
        d->breaks = 0;
        a = d->asides.n ? aside_find(&d->asides, token) : NULL;
        if (a) {
                d->heard = MAX(d->heard, token);
                if (aside_delivered(&d->asides, a)) {
                        log_notice("The broker takes %s events again", d->asides.topics[a->topic].type);
                        sync_tell_health(s);
                }
                flush_later(d);
                return;
        }
        if (token <= d->acknowledged || token > d->sent)
                return; /* of a connection that is no more */
        d->heard = MAX(d->heard, token);
        mark(d, token);
        uint64_t fresh = d->acknowledged - d->stored;
        if (fresh >= FLUSH_EVENTS || (fresh >= FLUSH_EARLY && d->acknowledged == d->sent))
                flush(s);
        else if (fresh)
                flush_later(d);
}

/* --- what is refused --- */

/* When there are more than fit, and others are heard, the oldest leaves the outbox: it stays in the ledger,
 * where `replay` finds it. While nobody is heard at all everything stays. */
static void make_room_aside(Sync *s) {
        Drain *d = &s->drain;
        Aside *oldest = &d->asides.all[0];

        d->full = d->asides.n == ASIDE_MAX && (oldest->state != ASIDE_KEPT || oldest->sequence >= d->heard);
        if (d->full || d->asides.n < ASIDE_MAX)
                return;
        log_warning("Event %llu (%s) was not taken for too long and is given up; `replay` brings it",
                    (unsigned long long)oldest->sequence, d->asides.topics[oldest->topic].type);
        oldest->state = ASIDE_DONE;
        d->asides.n_done++;
        flush(s);
}

void drain_refused(Sync *s, uint64_t token, unsigned reason, const char *sentence) {
        Drain *d = &s->drain;
        Aside *a = d->asides.n ? aside_find(&d->asides, token) : NULL;
        char type[ASIDE_TYPE] = "";

        d->taken = d->event_taken = true;
        if (token & TOKEN_REPLAY) { /* asked for; whoever misses it asks again */
                drain_acknowledged(s, token);
                return;
        }
        if (a) {
                a->state = ASIDE_KEPT;
                (void)block(s, d->asides.topics[a->topic].type, reason, sentence);
                sync_tell_health(s);
                return;
        }
        if (token <= d->acknowledged || token > d->sent)
                return; /* of a connection that is no more */
        if (ledger_outbox_each(s->ledger, token - 1, 1, note_type, type) >= 0 && *type) {
                AsideTopic *t = block(s, type, reason, sentence);
                make_room_aside(s);
                if (t && aside_add(&d->asides, token, t)) {
                        mark(d, token);
                        flush_later(d);
                        sync_tell_health(s);
                        return;
                }
        }
        d->again_at = clock_now().boot_usec + AGAIN_USEC;
}

/* --- handing over --- */

typedef struct Handover {
        Sync *s;
        uint64_t left;        /* the last one that the worker has */
        uint64_t replay_left; /* the first one that it has not */
        bool left_out;        /* there was room, and may still be */
        Aside *aside;         /* that is tried again */
} Handover;

/* What could not leave was not sent. */
static int hand_over(Handover *h) {
        Drain *d = &h->s->drain;
        int r = mqtt_client_flush(h->s->client);

        aside_left(&d->asides, r >= 0);
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
        int r = event_message(s, e, secret, &payload);

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
        if (d->breaks >= BREAKS_ALONE && d->sent != d->acknowledged)
                return 1; /* the suspect alone */
        const AsideTopic *blocked = aside_blocked(&d->asides, e->type);
        bool aside = blocked || aside_find(&d->asides, e->sequence);
        if (blocked && !aside_add(&d->asides, e->sequence, blocked)) {
                d->full = true;
                return 1;
        }
        int r = aside ? 0 : queue_event(h, e, secret, e->sequence);
        if (r < 0 && r != -EUCLEAN && r != -EMSGSIZE)
                return r;
        d->sent = e->sequence;
        if (aside || r < 0) { /* not now, or never */
                mark(d, e->sequence);
                h->left_out = true;
        }
        return 0;
}

static int resend_one(void *userdata, const EventRow *e) {
        Handover *h = userdata;
        Drain *d = &h->s->drain;

        if (e->sequence > d->replay_to || e->sequence - d->replay_acknowledged > d->room)
                return 1;
        int r = queue_event(h, e, NULL, TOKEN_REPLAY | e->sequence);
        if (r == -EUCLEAN || r == -EMSGSIZE) {
                if (d->replay_acknowledged == e->sequence - 1)
                        d->replay_acknowledged++;
        } else if (r < 0) {
                return r;
        }
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

static int send_aside(void *userdata, const EventRow *e, const char *secret) {
        Handover *h = userdata;

        if (e->sequence != h->aside->sequence)
                return 1;
        int r = queue_event(h, e, secret, e->sequence);
        if (r >= 0)
                h->aside->state = ASIDE_QUEUED;
        return r < 0 ? r : 1;
}

static int pump_asides(Handover *h, uint64_t now) {
        Asides *a = &h->s->drain.asides;
        int r = 0;

        while (r >= 0 && (h->aside = aside_next(a, now))) {
                r = ledger_outbox_each(h->s->ledger, h->aside->sequence - 1, 1, send_aside, h);
                /* No longer there, or not to be read. */
                if ((r >= 0 && h->aside->state == ASIDE_KEPT) || r == -EUCLEAN || r == -EMSGSIZE) {
                        h->aside->state = ASIDE_DONE;
                        a->n_done++;
                        flush_later(&h->s->drain);
                        r = 0;
                }
        }
        return r;
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
        if (!s->connected || !lineage_is_settled(s) || (d->mute >= BREAKS_ALONE && !d->taken))
                return;
        if (now_boot >= d->again_at) {
                send_again(d);
                h.left = d->sent;
        }
        if (d->full)
                make_room_aside(s);
        r = pump_events(&h);
        if (r >= 0)
                r = pump_asides(&h, now_boot);
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
        if (h.left_out) {
                flush_later(d);
                sync_wake(s);
        }
}

/* Bounded by policy: see locker_summarise_outbox(). Only while nothing is under way, because there is no
 * connection or nobody listens, a stretch at a time. */
void drain_bound(Sync *s) {
        Drain *d = &s->drain;
        uint64_t length = 0, last = 0;

        if ((s->connected && !(d->full && d->sent == d->acknowledged)) ||
            ledger_outbox_length(s->ledger, &length) < 0 || length <= s->settings->mqtt.outbox_max ||
            sync_last_event(s, &last) < 0)
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
        const Drain *d = &s->drain;
        uint64_t next = MIN(d->flush_at, d->again_at);

        return s->connected && lineage_is_settled(s) ? MIN(next, aside_next_deadline(&d->asides))
                                                     : d->flush_at;
}
