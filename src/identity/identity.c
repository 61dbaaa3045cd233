/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verifiers, and what is the same for all of them. */
#include "identity/identity.h"
#include "identity/job.h"
#include "identity/matcher.h"

#include <errno.h>
#include <stdio.h>

#define X(id, name, ...) extern const Verifier verifier_##name;
CREDENTIAL_KINDS(X)
#undef X

static const Verifier *const verifiers[] = {
#define X(id, name, ...) [CREDENTIAL_##id] = &verifier_##name,
        CREDENTIAL_KINDS(X)
#undef X
};

static void erase_free(uint8_t *data, size_t n) {
        if (data)
                explicit_bzero(data, n);
        free(data);
}

void job_erase_evidence(IdentityJob *j) {
        erase_free(j->evidence, j->n_evidence);
        j->evidence = NULL;
        j->n_evidence = 0;
}

IdentityJob *job_free(IdentityJob *j) {
        if (!j)
                return NULL;
        job_erase_evidence(j);
        for (unsigned i = 0; i < j->n_templates; i++)
                erase_free(j->templates[i].data, j->templates[i].n);
        free(j);
        return NULL;
}
DEFINE_CLEANUP(IdentityJob *, job_free);

void job_done(IdentityJob *j, IdentityResult result, const uint8_t *data, size_t n_data) {
        if (j->done)
                j->done(j->userdata, result, data, n_data);
        job_free(j);
}

int identity_new(Identity **ret, sd_event *event, const char *worker_directory, unsigned scrypt_log_n,
                 const uint8_t pepper[32]) {
        _cleanup_(identity_freep) Identity *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        i->patience = IDENTITY_PATIENCE_USEC;
        int r = secrets_new(&i->secrets, event, worker_directory, scrypt_log_n, pepper);
        if (r < 0)
                return r;
        *ret = steal_ptr(i);
        return 0;
}

Identity *identity_free(Identity *i) {
        if (!i)
                return NULL;
        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                matcher_free(i->matchers[k]);
        secrets_free(i->secrets);
        free(i);
        return NULL;
}

int identity_set_cost(Identity *i, CredentialKind k, unsigned log_n) {
        return secrets_set_cost(i->secrets, k, log_n);
}

int identity_add_reader(Identity *i, sd_event *event, const char *worker_directory,
                        const IdentityReader *reader) {
        return matcher_new(&i->matchers[reader->kind], event, worker_directory, reader, i);
}

void identity_set_patience(Identity *i, uint64_t usec) {
        i->patience = usec;
}

void identity_on_health(Identity *i, void (*changed)(void *userdata), void *userdata) {
        i->health_changed = changed;
        i->health_userdata = userdata;
}

const Verifier *identity_verifier(CredentialKind k) {
        return k >= 0 && k < CREDENTIAL_KINDS_MAX ? verifiers[k] : NULL;
}

/* One byte more, so that nothing is a copy, too. */
static uint8_t *copy(const void *data, size_t n) {
        uint8_t *c = malloc(n + 1);

        if (c && n)
                memcpy(c, data, n);
        return c;
}

static int new_job(Identity *i, const Verifier *v, const IdentityRequest *q, IdentityJob **ret) {
        _cleanup_(job_freep) IdentityJob *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        *j = (IdentityJob){.identity = i,
                           .verifier = v,
                           .n_evidence = q->n_evidence,
                           .comparisons = MAX(MAX(q->comparisons, q->n_templates), 1U),
                           .done = q->done,
                           .progress = q->progress,
                           .userdata = q->userdata};
        j->evidence = copy(q->evidence, q->n_evidence);
        if (!j->evidence)
                return -ENOMEM;
        for (unsigned k = 0; k < q->n_templates; k++) {
                j->templates[k].data = copy(q->templates[k].data, q->templates[k].n);
                if (!j->templates[k].data)
                        return -ENOMEM;
                j->templates[k].n = q->templates[k].n;
                j->n_templates++;
        }
        *ret = steal_ptr(j);
        return 0;
}

static int give(IdentityJob *j, int (*take)(IdentityJob *job), IdentityJob **ret_job) {
        int r = take(j);

        if (r < 0)
                job_free(j);
        else if (ret_job)
                *ret_job = j;
        return r;
}

int identity_enrol(Identity *i, const IdentityRequest *q, IdentityJob **ret_job) {
        const Verifier *v = identity_verifier(q->kind);
        IdentityJob *j;

        if (!v || !(v->abilities & VERIFIER_ENROLS))
                return -EOPNOTSUPP;
        if (!q->done)
                return -EINVAL;
        if (q->n_evidence > v->evidence_max)
                return -E2BIG;
        IdentityRequest own = *q;
        own.n_templates = own.comparisons = 0;
        int r = new_job(i, v, &own, &j);
        if (r < 0)
                return r;
        j->enrols = true;
        return give(j, v->enrol, ret_job);
}

int identity_verify(Identity *i, const IdentityRequest *q, IdentityJob **ret_job) {
        const Verifier *v = identity_verifier(q->kind);
        IdentityRequest own = *q;
        IdentityJob *j;

        if (!v || !(v->abilities & VERIFIER_VERIFIES))
                return -EOPNOTSUPP;
        if (!q->done || q->n_templates > IDENTITY_CANDIDATES_MAX || q->comparisons > IDENTITY_CANDIDATES_MAX)
                return -EINVAL;
        for (unsigned k = 0; k < q->n_templates; k++)
                if (q->templates[k].n > v->template_max)
                        return -EINVAL;
        /* Nobody could enrol such evidence: it cannot be right, and that is found out as slowly as anything
         * else. */
        if (own.n_evidence > v->evidence_max) {
                own.n_evidence = 0;
                own.comparisons = MAX(q->comparisons, q->n_templates);
                own.n_templates = 0;
        }
        int r = new_job(i, v, &own, &j);
        return r < 0 ? r : give(j, v->verify, ret_job);
}

void identity_cancel(IdentityJob *job) {
        if (!job)
                return;
        job->done = NULL;
        job->progress = NULL;
        if (job->verifier->cancel)
                job->verifier->cancel(job);
}

void identity_health(const Identity *i, CredentialKind k, IdentityHealth *ret) {
        const Verifier *v = identity_verifier(k);

        *ret = (IdentityHealth){.state = v ? "ok" : "failed"};
        if (!v)
                snprintf(ret->sentence, sizeof(ret->sentence), "There is no verifier of this kind.");
        else if (v->health)
                v->health(i, ret);
}
