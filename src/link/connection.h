/* SPDX-License-Identifier: Apache-2.0 */
/* One handheld: TLS, frames, one request at a time, and how long it may take for each. It knows no
 * descriptor: whoever carries its bytes (socket.c; later a radio) brings what has come and takes what is to
 * go. */
#pragma once

#include "core/bucket.h"
#include "link/frames.h"
#include "link/tls.h"
#include "link/wire.h"
#include "message/strict_json.h"

#define LINK_UNREAD_MAX (64 * 1024) /* bytes that a handheld may leave waiting */

typedef enum LinkPhase {
        LINK_PHASE_HANDSHAKE,
        LINK_PHASE_HELLO, /* nothing but that is taken */
        LINK_PHASE_READY,
        LINK_PHASE_LEAVING, /* what is said last is on its way, until the other side has it and closes */
        LINK_PHASE_OVER,
} LinkPhase;

typedef struct LinkConnection LinkConnection;

/* What a connection needs of its worker. */
typedef struct LinkHost {
        const LinkSetup *setup;
        const LinkWireClock *clock;
        LinkTlsContext *tls;
        /* The daemon is asked; the answer comes by link_connection_answer(). */
        void (*ask)(void *userdata, LinkConnection *c, const LinkWireRequest *r);
        void (*log)(void *userdata, const LinkConnection *c, const char *what);
        void *userdata;
        Bucket strangers; /* requests of all that have shown no certificate */
} LinkHost;

struct LinkConnection {
        LinkConnection *next;
        LinkHost *host;
        uint32_t number;
        int fd;    /* the transport's */
        bool shut; /* likewise: nothing more will be said */
        LinkPhase phase;
        LinkTls *tls;
        LinkWireOpened who;
        bool told;  /* the daemon knows it */
        bool asked; /* a request is under way */
        int64_t id;
        uint32_t n_requests;
        LinkFrame frame;
        Bucket pace;
        uint64_t paced_until;                           /* boot µs: no further request before */
        uint64_t until;                                 /* boot µs: handshake, hello, leaving */
        uint64_t frame_until, idle_until, unread_until; /* likewise; USEC_INFINITY */
};

LinkConnection *link_connection_new(LinkHost *host, uint32_t number, int fd,
                                    uint64_t now); /* NULL: no memory */
LinkConnection *link_connection_free(LinkConnection *c);

/* Is it of use to bring more bytes now? */
bool link_connection_wants(const LinkConnection *c, uint64_t now);
void link_connection_came(LinkConnection *c, const void *bytes, size_t n, uint64_t now);
/* What is to go; link_connection_went() says how much did. */
size_t link_connection_pending(const LinkConnection *c, const void **ret);
void link_connection_went(LinkConnection *c, size_t n, uint64_t now);
/* Goes on with what has come, and ends what takes too long. */
void link_connection_turn(LinkConnection *c, uint64_t now);
uint64_t link_connection_deadline(const LinkConnection *c);

void link_connection_answer(LinkConnection *c, const LinkWireAnswer *a, uint64_t now);
void link_connection_prompt(LinkConnection *c, const LinkWirePrompt *p, uint64_t now);
void link_connection_close(LinkConnection *c, uint64_t now); /* in order */
void link_connection_end(LinkConnection *c);                 /* at once: its other end is gone */
static inline bool link_connection_is_strangers(const LinkConnection *c) {
        return !c->who.courier[0] && !c->told;
}
