/* SPDX-License-Identifier: Apache-2.0 */
#include "link/connection.h"
#include "base/text.h"
#include "core/refusal.h"
#include "link/answer.h"
#include "link/request.h"

#include <errno.h>

#define SECONDS(n) ((uint64_t)(n)*USEC_PER_SEC)
#define LEAVE_USEC SECONDS(2)

/* A person does one thing after another; all couriers' requests are bounded by their connections. */
static const BucketRules request_pace = {.burst = 12, .each_usec = 250 * USEC_PER_MSEC};
static const BucketRules strangers_pace = {.burst = 24, .each_usec = 250 * USEC_PER_MSEC};

LinkConnection *link_connection_new(LinkHost *host, uint32_t number, int fd, uint64_t now) {
        LinkConnection *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        *c = (LinkConnection){.host = host,
                              .number = number,
                              .fd = fd,
                              .tls = link_tls_new(host->tls),
                              .until = now + SECONDS(LOCKERD_LINK_HANDSHAKE_S),
                              .frame_until = USEC_INFINITY,
                              .idle_until = USEC_INFINITY,
                              .unread_until = USEC_INFINITY};
        return c->tls ? c : link_connection_free(c);
}

LinkConnection *link_connection_free(LinkConnection *c) {
        if (!c)
                return NULL;
        link_tls_free(c->tls);
        link_frame_empty(&c->frame);
        free(c);
        return NULL;
}

void link_connection_end(LinkConnection *c) {
        c->phase = LINK_PHASE_OVER;
}

void link_connection_close(LinkConnection *c, uint64_t now) {
        if (c->phase >= LINK_PHASE_LEAVING)
                return;
        link_tls_close(c->tls);
        c->phase = LINK_PHASE_LEAVING;
        c->until = now + LEAVE_USEC;
}

/* Says why, for the log, and takes leave. */
static void give_up(LinkConnection *c, const char *why, uint64_t now) {
        c->host->log(c->host->userdata, c, why);
        link_connection_close(c, now);
}

/* --- what goes --- */

size_t link_connection_pending(const LinkConnection *c, const void **ret) {
        return link_tls_pending(c->tls, ret);
}

void link_connection_went(LinkConnection *c, size_t n, uint64_t now) {
        const void *bytes;

        link_tls_went(c->tls, n);
        if (!link_tls_pending(c->tls, &bytes))
                c->unread_until = USEC_INFINITY;
        else if (n || c->unread_until == USEC_INFINITY)
                c->unread_until = now + SECONDS(LOCKERD_LINK_UNREAD_S);
}

/* Takes the text. */
static void say(LinkConnection *c, char *text, uint64_t now) {
        size_t n = text ? strlen(text) : 0;
        uint8_t frame[LOCKERD_LINK_HEADER + LOCKERD_LINK_FRAME_MAX];
        const void *bytes;

        if (!text || n > LOCKERD_LINK_FRAME_MAX) {
                give_up(c, "an answer cannot be made", now);
        } else {
                link_frame_begin(n, frame);
                memcpy(frame + LOCKERD_LINK_HEADER, text, n);
                if (link_tls_write(c->tls, frame, LOCKERD_LINK_HEADER + n) < 0)
                        link_connection_end(c);
                else if (link_tls_pending(c->tls, &bytes) > LINK_UNREAD_MAX)
                        link_connection_end(c);
                explicit_bzero(frame, sizeof(frame));
        }
        text_erase_free(text);
}

void link_connection_answer(LinkConnection *c, const LinkWireAnswer *a, uint64_t now) {
        if (c->phase != LINK_PHASE_READY || !c->asked || a->number != c->n_requests)
                return;
        c->asked = false;
        c->idle_until = now + SECONDS(LOCKERD_LINK_IDLE_S);
        say(c, link_answer_text(c->id, a), now);
}

void link_connection_prompt(LinkConnection *c, const LinkWirePrompt *p, uint64_t now) {
        if (c->phase == LINK_PHASE_READY)
                say(c, link_prompt_text(p), now);
}

/* --- what comes --- */

static void take_hello(LinkConnection *c, const LinkRequest *r, uint64_t now) {
        if (!r->version) {
                say(c,
                    link_refusal_text(r->id, LOCKER_E_INVALID_ARGUMENT,
                                      "The cabinet speaks none of these versions; it speaks 1."),
                    now);
                give_up(c, "no version in common", now);
                return;
        }
        c->phase = LINK_PHASE_READY;
        say(c, link_hello_text(r->id, c->host->setup, c->who.courier, c->host->clock), now);
}

static void take_request(LinkConnection *c, LinkRequest *r, uint64_t now) {
        if (r->hello && c->phase == LINK_PHASE_READY) {
                say(c, link_refusal_text(r->id, LOCKER_E_WRONG_STATE, NULL), now);
                return;
        }
        if (r->hello) {
                take_hello(c, r, now);
                return;
        }
        if (c->phase != LINK_PHASE_READY) {
                give_up(c, "a request before hello", now);
                return;
        }
        c->asked = true;
        c->id = r->id;
        c->n_requests++;
        r->wire.number = c->n_requests;
        c->host->ask(c->host->userdata, c, &r->wire);
}

static void take_frame(LinkConnection *c, uint64_t now) {
        char detail[MESSAGE_DETAIL_MAX] = "";
        LinkRequest r;
        size_t n;
        const char *text = link_frame_text(&c->frame, &n);

        c->idle_until = now + SECONDS(LOCKERD_LINK_IDLE_S);
        int e = link_request_read(text, n, &r, detail);
        link_frame_empty(&c->frame);
        c->frame_until = USEC_INFINITY;
        if (e < 0)
                give_up(c, e == -ENOMEM ? "no memory" : "no request", now);
        else if (e > 0 && c->phase != LINK_PHASE_READY)
                give_up(c, "a request before hello", now);
        else if (e > 0)
                say(c, link_refusal_text(r.id, (unsigned)e, detail), now);
        else
                take_request(c, &r, now);
        explicit_bzero(&r, sizeof(r));
}

static bool may_ask(LinkConnection *c, uint64_t now) {
        if (!bucket_take(&c->pace, &request_pace, now)) {
                c->paced_until = bucket_next(&c->pace, &request_pace, now);
                return false;
        }
        if (!c->who.courier[0] && !bucket_take(&c->host->strangers, &strangers_pace, now)) {
                c->paced_until = bucket_next(&c->host->strangers, &strangers_pace, now);
                return false;
        }
        return true;
}

/* Reads on in its frame. False: nothing more can be done now. */
static bool read_on(LinkConnection *c, uint64_t now) {
        uint8_t bytes[1024];
        int wants = link_frame_wants(&c->frame);

        if (wants < 0) {
                give_up(c, "a frame of no length that there is", now);
                return false;
        }
        if (wants == 0) {
                if (!may_ask(c, now))
                        return false;
                take_frame(c, now);
                return true;
        }
        int n = link_tls_read(c->tls, bytes, MIN((size_t)wants, sizeof(bytes)));
        if (n > 0) {
                if (c->frame.n == 0)
                        c->frame_until = now + SECONDS(LOCKERD_LINK_FRAME_S);
                link_frame_add(&c->frame, bytes, (size_t)n);
                explicit_bzero(bytes, (size_t)n);
                return true;
        }
        if (n == -EPIPE)
                link_connection_close(c, now);
        else if (n < 0)
                give_up(c, link_tls_complaint(c->tls), now);
        return false;
}

static void shake_hands(LinkConnection *c, uint64_t now) {
        int r = link_tls_handshake(c->tls, &c->who);

        if (r < 0) {
                c->host->log(c->host->userdata, c, link_tls_complaint(c->tls));
                c->phase = LINK_PHASE_LEAVING; /* with the alert */
                c->until = now + LEAVE_USEC;
        } else if (r > 0) {
                c->phase = LINK_PHASE_HELLO;
                c->until = now + SECONDS(LOCKERD_LINK_HELLO_S);
        }
}

static bool takes_requests(const LinkConnection *c, uint64_t now) {
        return (c->phase == LINK_PHASE_HELLO || c->phase == LINK_PHASE_READY) && !c->asked &&
               now >= c->paced_until;
}

bool link_connection_wants(const LinkConnection *c, uint64_t now) {
        return c->phase == LINK_PHASE_HANDSHAKE || c->phase == LINK_PHASE_LEAVING || takes_requests(c, now);
}

void link_connection_came(LinkConnection *c, const void *bytes, size_t n, uint64_t now) {
        if (c->phase == LINK_PHASE_LEAVING)
                return; /* nobody reads that any more */
        if (link_tls_feed(c->tls, bytes, n) < 0)
                link_connection_end(c);
        else
                link_connection_turn(c, now);
}

static uint64_t next_timeout(const LinkConnection *c) {
        uint64_t t = MIN(c->unread_until, c->frame_until);

        if (c->phase != LINK_PHASE_READY)
                return MIN(t, c->until);
        return c->asked ? c->unread_until : MIN(t, c->idle_until);
}

uint64_t link_connection_deadline(const LinkConnection *c) {
        uint64_t t = next_timeout(c);

        return c->paced_until ? MIN(t, c->paced_until) : t;
}

void link_connection_turn(LinkConnection *c, uint64_t now) {
        if (c->paced_until && now >= c->paced_until)
                c->paced_until = 0;
        if (c->phase == LINK_PHASE_HANDSHAKE)
                shake_hands(c, now);
        while (takes_requests(c, now) && read_on(c, now))
                ;
        if (now < next_timeout(c) || c->phase == LINK_PHASE_OVER)
                return;
        if (c->phase == LINK_PHASE_LEAVING || now >= c->unread_until)
                link_connection_end(c);
        else
                give_up(c, c->phase == LINK_PHASE_HANDSHAKE ? "no handshake in time" : "nothing came in time",
                        now);
}
