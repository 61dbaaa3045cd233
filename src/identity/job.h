/* SPDX-License-Identifier: Apache-2.0 */
/* What verifiers share: a job, from the request to its answer. For src/identity/ only. */
#pragma once

#include "identity/identity.h"

typedef struct Secrets Secrets;
typedef struct Matcher Matcher;

struct Identity {
        Secrets *secrets;                        /* what is hashed: lockerd-hash */
        Matcher *matchers[CREDENTIAL_KINDS_MAX]; /* of the readers that this cabinet has; NULL */
        uint64_t patience;                       /* µs: how long a reader waits for a person */
        void (*health_changed)(void *userdata);
        void *health_userdata;
};

struct IdentityJob {
        Identity *identity;
        const Verifier *verifier;
        IdentityJob *next; /* the verifier's own list */
        bool enrols;
        uint8_t *evidence; /* own copies, here and below */
        size_t n_evidence;
        struct {
                uint8_t *data;
                size_t n;
        } templates[IDENTITY_CANDIDATES_MAX];
        unsigned n_templates, comparisons; /* to make: at least one, no fewer than templates */
        IdentityDone done;                 /* NULL: cancelled */
        IdentityProgress progress;
        void *userdata;
        uint64_t id; /* the verifier's own */
        bool asked;  /* likewise: its worker has it */
        /* Likewise, where they are made one by one: those made, how many of them matched, the last one. */
        unsigned compared, n_matches;
        uint8_t match;
};

/* Tells the outcome, unless cancelled, and frees the job. The callback may put in new jobs and cancel others.
 */
void job_done(IdentityJob *j, IdentityResult result, const uint8_t *data, size_t n_data);
IdentityJob *job_free(IdentityJob *j);
void job_erase_evidence(IdentityJob *j);

/* --- secrets.c: a queue to one lockerd-hash --- */
int secrets_new(Secrets **ret, sd_event *event, const char *worker_directory, unsigned scrypt_log_n,
                const uint8_t pepper[32]);
Secrets *secrets_free(Secrets *s);
int secrets_set_cost(Secrets *s, CredentialKind k, unsigned scrypt_log_n);
/* What the verifiers of all secrets have in common (identity/hash_wire.h). */
#define VERIFIED_BY_HASH                                                                 \
        .abilities = VERIFIER_ENROLS | VERIFIER_VERIFIES, .template_max = HASH_DATA_MAX, \
        .enrol = secrets_add, .verify = secrets_add, .cancel = secrets_cancel, .health = secrets_health
int secrets_add(IdentityJob *job);
void secrets_cancel(IdentityJob *job);
void secrets_health(const Identity *i, IdentityHealth *ret);
/* All the same symbol, or a run up or down: the first things that anybody tries. */
bool secret_is_too_simple(const uint8_t *secret, size_t n);
