/* SPDX-License-Identifier: Apache-2.0 */
/* The short-range link, for whoever writes a handheld or a transport: what is fixed outside of the JSON
 * itself (schema/link/, docs/link.md).
 *
 * A connection is an ordered byte stream in each direction, whatever carries it. It carries TLS 1.3 and
 * nothing else; the cabinet is the server. Inside, each side sends frames: four bytes of length, the highest
 * first, and so many bytes of JSON in UTF-8, one object. A frame has at least 2 and at most
 * LOCKERD_LINK_FRAME_MAX bytes of JSON; another length, text that is not such an object, and anything that is
 * sent before `hello` end the connection.
 *
 * The handheld sends requests, one at a time: the next one after the answer to the last. The cabinet sends
 * answers, which repeat the request's `id`, and prompts, which have no `id`, at any time after `hello`. */
#pragma once

#define LOCKERD_LINK_VERSION   1
#define LOCKERD_LINK_HEADER    4          /* bytes of length before each frame */
#define LOCKERD_LINK_FRAME_MAX 8192       /* bytes of JSON in a frame, either way */
#define LOCKERD_LINK_ID_MAX    2147483647 /* ids are whole numbers from 0 on */

/* Whom a certificate is for: URIs among its subject alternative names. */
#define LOCKERD_LINK_URI_COURIER \
        "urn:lockerd:courier:" /* and the number; exactly one. Extended key usage: client */
#define LOCKERD_LINK_URI_CABINET                                                      \
        "urn:lockerd:cabinet:" /* a courier's: where it counts; none: everywhere. The \
                                  cabinet's own: its number. Extended key usage: server */

/* How long the cabinet waits, in seconds, before it ends a connection. */
#define LOCKERD_LINK_HANDSHAKE_S \
        30                        /* from the first byte that it could send to the end of the TLS handshake */
#define LOCKERD_LINK_HELLO_S  30  /* from there to the request `hello` */
#define LOCKERD_LINK_FRAME_S  30  /* from the first byte of a frame to its last */
#define LOCKERD_LINK_IDLE_S   600 /* without a frame from the handheld */
#define LOCKERD_LINK_UNREAD_S 30  /* with bytes that the handheld does not take */

/* How many connections at a time. One more takes the place of the oldest that has shown no certificate and
 * has no errand; when there is none, it is refused. */
#define LOCKERD_LINK_CONNECTIONS_MAX 48
