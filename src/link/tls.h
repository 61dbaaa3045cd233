/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.3 over bytes that somebody else carries: what comes is fed in, what is to go is taken out. No
 * descriptor, no clock. The cabinet is the server; a courier shows a certificate, a recipient none. */
#pragma once

#include "base/macros.h"
#include "link/setup.h"
#include "link/wire.h"

typedef struct LinkTlsContext LinkTlsContext; /* keys, authorities, revocations */
typedef struct LinkTls LinkTls;               /* one connection */

/* 0, or a negative errno with a sentence. clock: read with each handshake, and must stay. */
int link_tls_context_new(LinkTlsContext **ret, const LinkSetup *setup, const LinkWireClock *clock,
                         char ret_sentence[LINK_SENTENCE_MAX]);
LinkTlsContext *link_tls_context_free(LinkTlsContext *c);
DEFINE_CLEANUP(LinkTlsContext *, link_tls_context_free);

LinkTls *link_tls_new(LinkTlsContext *c); /* NULL: no memory */
LinkTls *link_tls_free(LinkTls *t);
DEFINE_CLEANUP(LinkTls *, link_tls_free);

int link_tls_feed(LinkTls *t, const void *bytes, size_t n); /* what has come: 0, -ENOMEM */
/* What is to go: the bytes, which stay until link_tls_went(). */
size_t link_tls_pending(const LinkTls *t, const void **ret);
void link_tls_went(LinkTls *t, size_t n);

/* 1: the handshake is over, *ret says who it is; 0: more is to come; -EPROTO: it has failed, and an alert is
 * to go.
 */
int link_tls_handshake(LinkTls *t, LinkWireOpened *ret);
/* Why it failed, for the log. */
const char *link_tls_complaint(const LinkTls *t);
/* Bytes read; 0: more is to come; -EPIPE: the other side has closed; -EPROTO. */
int link_tls_read(LinkTls *t, void *ret, size_t n);
int link_tls_write(LinkTls *t, const void *bytes, size_t n); /* 0, -EPROTO */
void link_tls_close(LinkTls *t);                             /* says so to the other side */
