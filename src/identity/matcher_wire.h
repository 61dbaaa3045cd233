/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon and a matcher say to each other. A matcher is a worker process that owns one reader
 * (fingerprint, voice, face, …), makes templates and compares samples with them. One packet of a
 * SOCK_SEQPACKET socket a message: a fixed header, the body that belongs to its type, then `n_data` bytes of
 * template. Integers are in the machine's own byte order (both sides come from one build; the version guards
 * against a half-done upgrade). Nothing is a pointer, everything has a bound.
 *
 *   daemon → matcher   SETUP (with what its kind of matcher has to know, if anything, as data), DEVICE (where
 *                      the reader is a serial device); then, one attempt at a time,
 *                      ENROL, or CANDIDATE… and VERIFY or WATCH; CANCEL; PING.
 *   matcher → daemon   HELLO first; then HEALTH whenever it changes; PROGRESS… and one RESULT for each ENROL
 *                      and VERIFY, for a WATCH one RESULT for each sight until it ends; PONG.
 *
 * Every attempt has a number of its own, which is never used again and is in all messages about it: what
 * still comes of an attempt before never counts for this one. An attempt ends with its RESULT, also one that
 * was cancelled; until then the matcher is busy.
 *
 * A matcher gets the templates that it is to compare and no names: it does not know whose they are. It says
 * what a person is to do, and what failed, by number; the sentences are the daemon's. */
#pragma once

#include "base/macros.h"
#include "core/credential.h"
#include <stdbool.h>
#include <stdint.h>

#define MATCHER_WIRE_VERSION   2
#define MATCHER_WIRE_FD        3 /* where the matcher finds its end */
#define MATCHER_TEMPLATE_MAX   CREDENTIAL_DATA_MAX
#define MATCHER_KIND_MAX       16 /* bytes, with the NUL */
#define MATCHER_NAME_MAX       64
#define MATCHER_DEVICE_MAX     256
#define MATCHER_DETAIL_MAX     96
#define MATCHER_CANDIDATES_MAX 64 /* of a WATCH */
#define MATCHER_CLAIMED_MAX    4  /* of a VERIFY: whom one claim may fit */
#define MATCHER_TIMEOUT_MAX_MS 120000
#define MATCHER_QUALITY_MAX    100

typedef enum MatcherType {
        MATCHER_SETUP = 1,
        MATCHER_DEVICE,
        MATCHER_ENROL,
        MATCHER_CANDIDATE,
        MATCHER_VERIFY,
        MATCHER_WATCH,
        MATCHER_CANCEL,
        MATCHER_PING,
        MATCHER_HELLO,
        MATCHER_HEALTH,
        MATCHER_PROGRESS,
        MATCHER_RESULT,
        MATCHER_PONG,
        MATCHER_TYPE_MAX,
} MatcherType;

enum { /* abilities of a matcher */
       MATCHER_ENROLS = 1 << 0,
       MATCHER_VERIFIES = 1 << 1,
       MATCHER_WATCHES = 1 << 2,
       MATCHER_ABILITIES = MATCHER_ENROLS | MATCHER_VERIFIES | MATCHER_WATCHES,
};

/* What the person is to do now. */
typedef enum MatcherPrompt {
        MATCHER_PROMPT_TOUCH,
        MATCHER_PROMPT_LIFT,
        MATCHER_PROMPT_AGAIN,
        MATCHER_PROMPT_READER_MISSING,
        MATCHER_PROMPT_SPEAK,
        MATCHER_PROMPT_LOOK,
        MATCHER_PROMPT_LOOK_AGAIN,
        MATCHER_PROMPT_NEARER,
        MATCHER_PROMPT_TOO_DARK,
        MATCHER_PROMPT_ALONE, /* before the camera */
        MATCHER_PROMPT_SAY_AGAIN,
        /* What was wrong with what was said; it is to be said again. */
        MATCHER_PROMPT_TOO_SHORT,
        MATCHER_PROMPT_TOO_LONG,
        MATCHER_PROMPT_TOO_LOUD,
        MATCHER_PROMPT_TOO_QUIET,
        MATCHER_PROMPT_NOISE,
        MATCHER_PROMPT_MAX,
} MatcherPrompt;

typedef enum MatcherOutcome {
        MATCHER_MATCH,
        MATCHER_NO_MATCH,
        MATCHER_ENROLLED,  /* the template comes with it */
        MATCHER_FAILED,    /* neither yes nor no; why: problem */
        MATCHER_CANCELLED, /* as told to */
        MATCHER_OUTCOME_MAX,
} MatcherOutcome;

/* Why an attempt failed, or what is wrong with the reader. */
typedef enum MatcherProblem {
        MATCHER_PROBLEM_NONE,
        MATCHER_PROBLEM_MISSING,        /* the device is not there */
        MATCHER_PROBLEM_UNPLUGGED,      /* it was, and is not any more */
        MATCHER_PROBLEM_SILENT,         /* it does not answer, or too late */
        MATCHER_PROBLEM_CORRUPT,        /* frames with wrong checksums or lengths */
        MATCHER_PROBLEM_CHATTER,        /* it sends what nobody asked for */
        MATCHER_PROBLEM_PASSWORD,       /* it wants a password */
        MATCHER_PROBLEM_REFUSES,        /* it answers with an error that is none of a sample's */
        MATCHER_PROBLEM_OTHER_READER,   /* the template comes from another type of reader */
        MATCHER_PROBLEM_BAD_TEMPLATE,   /* the template is none */
        MATCHER_PROBLEM_NO_SAMPLE,      /* nobody presented anything in time */
        MATCHER_PROBLEM_POOR_SAMPLE,    /* nothing could be made of what was presented */
        MATCHER_PROBLEM_UNLIKE,         /* the samples of an enrolment are not of one finger, voice, face */
        MATCHER_PROBLEM_SEVERAL,        /* readers, and nobody says which */
        MATCHER_PROBLEM_UNSUITABLE,     /* it keeps templates itself, or cannot compare as it has to */
        MATCHER_PROBLEM_BUSY,           /* another program has the device */
        MATCHER_PROBLEM_HOT,            /* it has been in use for too long, and rests */
        MATCHER_PROBLEM_MODEL_MISSING,  /* a model's file is not there, or cannot be read */
        MATCHER_PROBLEM_MODEL_OTHER,    /* it is another file than the one that is configured */
        MATCHER_PROBLEM_MODEL_UNUSABLE, /* it is none, or one of another kind */
        MATCHER_PROBLEM_OTHER_MODEL,    /* the template comes from other models */
        MATCHER_PROBLEM_NO_FACE,        /* in view */
        MATCHER_PROBLEM_SEVERAL_FACES,
        MATCHER_PROBLEM_TOO_DARK,
        MATCHER_PROBLEM_TOO_FAR,   /* too small in the picture */
        MATCHER_PROBLEM_TOO_SHORT, /* what was said */
        MATCHER_PROBLEM_TOO_LONG,
        MATCHER_PROBLEM_TOO_LOUD,
        MATCHER_PROBLEM_TOO_QUIET,
        MATCHER_PROBLEM_NOISE, /* nothing could be heard through it */
        MATCHER_PROBLEM_FAULT, /* in the matcher itself */
        MATCHER_PROBLEM_MAX,
} MatcherProblem;

typedef struct MatcherHeader {
        uint16_t version, type; /* MatcherType */
        uint32_t n_data;        /* bytes of template behind the body */
        uint64_t attempt;       /* 0: about none */
} MatcherHeader;

typedef struct MatcherSetup {
        MatcherHeader header;
        uint32_t baud; /* of a serial reader; 0: it is none */
        uint32_t reserved;
        char kind[MATCHER_KIND_MAX];     /* what is expected of it */
        char name[MATCHER_NAME_MAX];     /* the reader's, for the log */
        char device[MATCHER_DEVICE_MAX]; /* "" only where it is no serial one: there is one alone */
} MatcherSetup;

/* DEVICE (a descriptor comes with it: the socket to lockerd-open), CANCEL (of the attempt), PING and PONG
 * (any number, returned). */
typedef struct MatcherPlain {
        MatcherHeader header;
        uint64_t number;
} MatcherPlain;

/* The number of the attempt is its candidates' too: they come before it, 1 … n. */
typedef struct MatcherCandidate {
        MatcherHeader header;
        uint32_t number, reserved;
} MatcherCandidate;

/* ENROL, VERIFY, WATCH. A VERIFY makes at least n_comparisons, and at least one: those for which there is no
 * candidate are made against nothing. Where several may be made, a candidate that cannot be compared is none.
 */
typedef struct MatcherTask {
        MatcherHeader header;
        uint32_t n_candidates;
        uint32_t timeout_ms; /* for the whole attempt; of a WATCH: until it ends by itself */
        uint32_t n_comparisons, reserved;
} MatcherTask;

typedef struct MatcherHello {
        MatcherHeader header;
        char kind[MATCHER_KIND_MAX];
        uint32_t abilities, reserved;
} MatcherHello;

typedef struct MatcherHealth {
        MatcherHeader header;
        uint32_t problem; /* MatcherProblem; NONE: the reader works */
        uint32_t reserved;
        char detail[MATCHER_DETAIL_MAX]; /* printable ASCII: what the reader is, what it said */
} MatcherHealth;

typedef struct MatcherProgress {
        MatcherHeader header;
        uint32_t prompt; /* MatcherPrompt */
        uint16_t taken,
                of; /* of an ENROL: samples taken so far, and how many it needs; 0, 0: it does not tell */
} MatcherProgress;

typedef struct MatcherResult {
        MatcherHeader header;
        uint32_t outcome;   /* MatcherOutcome */
        uint32_t problem;   /* MatcherProblem; with FAILED, and then not NONE */
        uint32_t candidate; /* MATCH: which one */
        uint32_t score;     /* as the reader counts; 0: it does not tell */
        uint32_t quality;   /* of the sample, 1 … 100; 0: it does not tell */
        uint32_t reserved;
} MatcherResult;

typedef union MatcherBody {
        MatcherHeader header;
        MatcherSetup setup;
        MatcherPlain plain;
        MatcherCandidate candidate;
        MatcherTask task;
        MatcherHello hello;
        MatcherHealth health;
        MatcherProgress progress;
        MatcherResult result;
} MatcherBody;

#define MATCHER_WIRE_MAX (sizeof(MatcherBody) + MATCHER_TEMPLATE_MAX)

typedef struct MatcherMessage {
        MatcherBody body;
        const uint8_t *data; /* body.header.n_data bytes, in the packet; NULL: none */
} MatcherMessage;

/* Pure: is this packet a well-formed message that this side may get (from_daemon: a matcher)? 0 or -EPROTO;
 * *ret is untouched then. Texts in *ret end with NUL, enumerations are in their ranges, and what must not be
 * there is not. Whether it fits what was said before is for the receiver to know. */
int matcher_wire_check(const uint8_t *packet, size_t n, bool from_daemon, MatcherMessage *ret);

/* Fills in version, type and n_data of `body` and sends it whole without waiting; passed: a descriptor for
 * the other side, or -1. 0, -EAGAIN: the other side does not read; -EPIPE; -EMSGSIZE. */
int matcher_wire_send(int fd, MatcherType type, void *body, const uint8_t *data, size_t n_data, int passed);
/* Without waiting, into a buffer of MATCHER_WIRE_MAX bytes, which *ret points into and the caller erases. 1;
 * 0: nothing there; -EPIPE: the other side is gone; -EPROTO: not ours. ret_passed NULL: descriptors that come
 * are closed; else the caller's, -1: none came. */
int matcher_wire_receive(int fd, bool from_daemon, uint8_t *buffer, MatcherMessage *ret, int *ret_passed);
