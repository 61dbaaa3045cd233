/* SPDX-License-Identifier: Apache-2.0 */
/* Verifiers of evidence, one for each kind of credential (core/credential.h): enrol makes an opaque template
 * of presented evidence, verify compares evidence with a template. Both are byte strings of at most
 * CREDENTIAL_DATA_MAX, whatever is in them. What is slow or may hang happens in a process of its own (PINs,
 * passwords, patterns and cards: lockerd-hash; readers: a matcher each,
 * see matcher_wire.h). */
#pragma once

#include "base/clock.h"
#include "base/macros.h"
#include "core/cabinet.h"
#include "core/credential.h"
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Identity Identity;
typedef struct IdentityJob IdentityJob;

typedef enum IdentityResult {
        IDENTITY_MATCH, /* data is one byte: the index of the template */
        IDENTITY_NO_MATCH,
        IDENTITY_ENROLLED, /* data holds the template to store */
        IDENTITY_FAILED,   /* the worker died or timed out: neither yes nor no */
        /* Likewise; data holds the sentence why, for people (without NUL). */
        IDENTITY_READER_FAILED, /* the reader, or what is stored for it */
        IDENTITY_NO_SAMPLE,     /* nobody has shown anything that is any use */
} IdentityResult;

typedef void (*IdentityDone)(void *userdata, IdentityResult result, const uint8_t *data, size_t n_data);

/* What the person is to do now. */
typedef struct IdentityPrompt {
        const char *what, *sentence; /* "touch", "again", …, and the sentence for it; both static */
        unsigned taken,
                of; /* of an enrolment: samples taken so far, and how many are needed; 0, 0: not told */
} IdentityPrompt;
typedef void (*IdentityProgress)(void *userdata, const IdentityPrompt *prompt);

#define IDENTITY_PATIENCE_USEC (17 * USEC_PER_SEC) /* unless identity_set_patience() says otherwise */

/* How many people one claim may fit. */
#define IDENTITY_CANDIDATES_MAX 4

typedef struct IdentityTemplate {
        const uint8_t *data;
        size_t n;
} IdentityTemplate;

typedef struct IdentityRequest {
        CredentialKind kind;
        const void *evidence; /* copied, and erased afterwards; NULL for verifiers with a device */
        size_t n_evidence;
        /* verify: whom the claim fits, at most IDENTITY_CANDIDATES_MAX. Of several a single one must match;
         * two that do are NO_MATCH. At least so many comparisons are made (at least one); those that are
         * missing are made against nothing, so that the time does not tell how many candidates there are. */
        const IdentityTemplate *templates;
        unsigned n_templates, comparisons;
        IdentityDone done;
        IdentityProgress progress; /* may be NULL */
        void *userdata;
} IdentityRequest;

enum {
        VERIFIER_ENROLS = 1 << 0,
        VERIFIER_VERIFIES = 1 << 1,
        VERIFIER_HAS_PROGRESS = 1 << 2, /* tells what the person is to do */
        VERIFIER_HAS_DEVICE =
                1 << 3, /* the evidence comes from a device of the cabinet, not with the request */
};

typedef struct IdentityHealth {
        const char *state; /* "ok", "starting", "degraded", "failed" */
        char sentence[160];
} IdentityHealth;

/* What a kind's file defines as verifier_<name>; reached through the functions below. */
typedef struct Verifier {
        CredentialKind kind;
        unsigned abilities;
        size_t evidence_max, template_max;
        /* May this be enrolled? 0; -EINVAL: it is none, with a sentence; -EDOM: too easily guessed. */
        int (*acceptable)(const uint8_t *evidence, size_t n, unsigned shortest, const char **ret_sentence);
        /* 0: the job will be answered by job_done(), never from inside; else a negative errno, and it was not
         * taken. */
        int (*enrol)(IdentityJob *job);
        int (*verify)(IdentityJob *job);
        /* Nobody waits for it any more: its callbacks are gone, job_done() is still to come. */
        void (*cancel)(IdentityJob *job);
        void (*health)(const Identity *i, IdentityHealth *ret);
} Verifier;

/* pepper: 32 bytes, mixed into secrets so that the data alone is useless elsewhere. */
int identity_new(Identity **ret, sd_event *event, const char *worker_directory, unsigned scrypt_log_n,
                 const uint8_t pepper[32]);
/* Another cost for what is hashed of this kind from now on; -EINVAL: outside HASH_LOG_N_MIN … MAX. */
int identity_set_cost(Identity *i, CredentialKind k, unsigned scrypt_log_n);
/* What is still waiting is dropped, its callbacks are not called. Not from inside a callback. */
Identity *identity_free(Identity *i);
DEFINE_CLEANUP(Identity *, identity_free);

/* A reader of the cabinet, whose worker is kept running from now on. `reader` outlives the Identity; one of a
 * kind. */
int identity_add_reader(Identity *i, sd_event *event, const char *worker_directory,
                        const IdentityReader *reader);
/* How long a reader waits for a person: a verification as a whole, an enrolment for each sample. µs. */
void identity_set_patience(Identity *i, uint64_t usec);
/* Called from the event loop when the health of a reader is another one. changed NULL: no more. */
void identity_on_health(Identity *i, void (*changed)(void *userdata), void *userdata);

const Verifier *identity_verifier(CredentialKind k); /* NULL: none here */

/* Both are asynchronous: `done` is called once from the event loop, unless cancelled, never from inside the
 * call. `ret_job` may be NULL. -EOPNOTSUPP: there is no verifier of this kind, or it cannot do that;
 * -ENODEV: this cabinet has no such reader; -EBUSY: somebody else is at the reader;
 * -ENOBUFS: too much is waiting; -E2BIG: nobody may enrol evidence of more than the verifier's maximum (such
 * evidence simply does not match). */
int identity_enrol(Identity *i, const IdentityRequest *q, IdentityJob **ret_job);
int identity_verify(Identity *i, const IdentityRequest *q, IdentityJob **ret_job);
void identity_cancel(IdentityJob *job); /* NULL: nothing */
void identity_health(const Identity *i, CredentialKind k, IdentityHealth *ret);
