/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon and lockerd-link say to each other. One packet of a SOCK_SEQPACKET socket a message: a
 * fixed header and the body that belongs to its type. Integers are in the machine's own byte order (both
 * sides come from one build; the version guards against a half-done upgrade). Nothing is a pointer, every
 * text has an end, and each body but the two texts has one size: what does not fit is no message.
 *
 *   daemon → worker   SETUP first; CLOCK, before the first connection and then as time goes on; ANSWER, one
 * to each REQUEST; PROMPT; CLOSE; PING; STOP worker → daemon   READY; STATUS whenever it changes; OPENED when
 * a handshake is over, then at most one REQUEST at a time and the next after its ANSWER; CLOSED once, whoever
 * ended it; PONG
 *
 * Connections have numbers that only grow in the life of a worker. The daemon takes none of what the worker
 * says for more than it is: texts are checked again here, the validity of a certificate by the daemon's own
 * clock with each request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_WIRE_FD      3
#define LINK_WIRE_VERSION 2
#define LINK_WIRE_MAX     (32 * 1024) /* a packet; SETUP is the longest */

typedef enum LinkWireType {
        /* daemon → worker */
        LINK_WIRE_SETUP, /* text: a JSON object, setup.h */
        LINK_WIRE_CLOCK,
        LINK_WIRE_ANSWER,
        LINK_WIRE_PROMPT,
        LINK_WIRE_CLOSE,
        LINK_WIRE_PING,
        LINK_WIRE_STREAM, /* a connected stream socket goes along: a connection that another transport carries
                           */
        LINK_WIRE_STOP,
        /* worker → daemon */
        LINK_WIRE_READY,
        LINK_WIRE_STATUS,
        LINK_WIRE_OPENED,
        LINK_WIRE_REQUEST,
        LINK_WIRE_CLOSED,
        LINK_WIRE_PONG,
        LINK_WIRE_TYPES,
} LinkWireType;

typedef enum LinkVerb {
        LINK_DEPOSIT,
        LINK_TOO_SMALL,
        LINK_NOT_EMPTY,
        LINK_DOES_NOT_OPEN,
        LINK_REOPEN,
        LINK_CANCEL,
        LINK_COLLECT,
        LINK_ACCEPT,
        LINK_REJECT,
        LINK_TAKE_BACK,
        LINK_END,
        LINK_VERBS,
} LinkVerb;

#define LINK_LABEL_MAX    32 /* bytes with the NUL, as all of these */
#define LINK_NUMBER_MAX   33
#define LINK_TEXT_MAX     257
#define LINK_PHONE_MAX    33
#define LINK_WAYBILL_MAX  129
#define LINK_CODE_MAX     33
#define LINK_TAIL_MAX     5
#define LINK_CABINET_MAX  65
#define LINK_SENTENCE_MAX 320
#define LINK_WORD_MAX     32
#define LINK_KEY_SIZE     32
#define LINK_PLACES_MAX   96 /* of a take-back; what is beyond is told by the prompts alone */

typedef struct LinkWireClock {
        int64_t wall_usec;  /* believed */
        int64_t not_before; /* the true time is not earlier; 0: nothing is known */
        uint64_t vouched;   /* 0, 1 */
} LinkWireClock;

/* "": not given. */
typedef struct LinkWireRequest {
        uint32_t verb;             /* LinkVerb */
        uint32_t number;           /* of the request in its connection, from 1 on */
        uint64_t parcel;           /* 0: none */
        uint8_t accessible, exact; /* exact: no larger place */
        char temperature[LINK_WORD_MAX];
        char size[LINK_LABEL_MAX];
        char recipient[LINK_TEXT_MAX];
        char phone[LINK_PHONE_MAX];
        char waybill[LINK_WAYBILL_MAX];
        char code[LINK_CODE_MAX];
        char slot[LINK_LABEL_MAX];
        char phone_tail[LINK_TAIL_MAX];
        char cabinet[LINK_CABINET_MAX];
} LinkWireRequest;

typedef struct LinkWirePlace {
        uint64_t parcel;
        uint32_t position;
        char slot[LINK_LABEL_MAX]; /* "": none */
} LinkWirePlace;

typedef struct LinkWireAnswer {
        uint32_t number;                  /* the request's */
        uint32_t refusal;                 /* Refusal; 0: done */
        char sentence[LINK_SENTENCE_MAX]; /* in place of the refusal's own; "" */
        char prompt[LINK_SENTENCE_MAX];
        LinkWirePlace place;
        int64_t expires;   /* µs since 1970 UTC; 0: not told */
        int64_t deposited; /* with has_key */
        uint32_t bound;    /* kinds of credentials: bits of CredentialKind */
        uint32_t has_key;  /* 0, 1 */
        uint8_t key[LINK_KEY_SIZE];
        uint32_t has_places, n_places;
        LinkWirePlace places[LINK_PLACES_MAX];
} LinkWireAnswer;

typedef struct LinkWirePrompt {
        LinkWirePlace place;
        char what[LINK_WORD_MAX];
        char sentence[LINK_SENTENCE_MAX];
} LinkWirePrompt;

typedef struct LinkWireStatus {
        uint32_t listening; /* 0, 1 */
        char sentence[LINK_SENTENCE_MAX];
} LinkWireStatus;

typedef struct LinkWireOpened {
        char courier[LINK_NUMBER_MAX]; /* "": no certificate */
        int64_t not_before, not_after; /* of the certificate and those above it, wall µs */
} LinkWireOpened;

typedef struct LinkWireHeader {
        uint16_t version, type;
        uint32_t connection; /* 0: about none */
        uint32_t n_body, reserved;
} LinkWireHeader;

typedef struct LinkWireMessage {
        LinkWireHeader header;
        union {
                LinkWireClock clock;
                LinkWireAnswer answer;
                LinkWirePrompt prompt;
                LinkWireStatus status;
                LinkWireOpened opened;
                LinkWireRequest request;
                char text[LINK_WIRE_MAX];
        };
} LinkWireMessage;

/* The same with a descriptor that goes along: STREAM and nothing else. */
int link_wire_pass(int fd, int passed);
/* Never waits: 0, -EAGAIN, -EPIPE, -EMSGSIZE. body: as the type says; text types: the length with its NUL. */
int link_wire_send(int fd, LinkWireType type, uint32_t connection, const void *body, size_t n);
/* 1; 0: nothing there; -EPIPE; -EPROTO: no message. *ret_passed: of a STREAM its descriptor, the caller's;
 * else -1. NULL: STREAM is no message here. */
int link_wire_receive(int fd, LinkWireMessage *ret, int *ret_passed);
/* Is it a message? What came is n bytes in m. */
bool link_wire_is_message(const LinkWireMessage *m, size_t n);
