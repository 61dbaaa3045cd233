/* SPDX-License-Identifier: Apache-2.0 */
/* PINs, passwords, patterns and cards: what is hashed. The daemon's side of lockerd-hash: a queue, one
 * question under way, a worker while there is work and a little longer. A worker that hangs, talks nonsense
 * or dies costs the job under way and no other. */
#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/message_ids.h"
#include "base/text.h"
#include "identity/hash_wire.h"
#include "identity/job.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define JOB_USEC  (10 * USEC_PER_SEC)
#define IDLE_USEC (30 * USEC_PER_SEC)
/* What waits at most. People who stand at the cabinet, and what the backend enrols at once
 * (sync/command_judge.c) with some more, do not take each other's place. */
#define VERIFIES_MAX 64
#define ENROLS_MAX   320

struct Secrets {
        sd_event *event;
        char *program;
        unsigned log_n[CREDENTIAL_KINDS_MAX];
        uint8_t pepper[HASH_PEPPER_SIZE];

        IdentityJob *jobs;  /* the first is the one under way */
        unsigned n_jobs[2]; /* that verify, that enrol */
        bool enrolled_last; /* they take turns */
        uint64_t last_id;
        bool failing; /* the worker could not be started last time */

        Child worker;
        sd_event_source *on_socket, *on_exit;
        sd_event_source *timer; /* of the job under way; without one, of the idle worker */
};

static int on_socket(sd_event_source *s, int fd, uint32_t revents, void *userdata);
static int on_exit_of_worker(sd_event_source *s, int fd, uint32_t revents, void *userdata);

static HashVerb verb(const IdentityJob *j) {
        return j->enrols ? HASH_ENROL : j->compared < j->n_templates ? HASH_VERIFY : HASH_VERIFY_NOTHING;
}

static void arm(Secrets *i, uint64_t delay) {
        (void)sd_event_source_set_time_relative(i->timer, delay);
        (void)sd_event_source_set_enabled(i->timer, SD_EVENT_ONESHOT);
}

/* Killing loses nothing: a worker keeps no state. */
static void stop_worker(Secrets *i) {
        i->on_socket = sd_event_source_disable_unref(i->on_socket);
        i->on_exit = sd_event_source_disable_unref(i->on_exit);
        child_kill(&i->worker);
        (void)sd_event_source_set_enabled(i->timer, SD_EVENT_OFF);
}

static int start_worker(Secrets *i) {
        int r = child_start(i->program, NULL, 0, &i->worker);

        if (r < 0)
                return r;
        /* One that is not ours is known to be gone by its socket alone. */
        if (i->worker.pidfd >= 0)
                r = sd_event_add_io(i->event, &i->on_exit, i->worker.pidfd, EPOLLIN, on_exit_of_worker, i);
        if (r >= 0)
                r = sd_event_add_io(i->event, &i->on_socket, i->worker.socket, EPOLLIN, on_socket, i);
        if (r < 0)
                stop_worker(i);
        return r;
}

/* False: it is not there any more. */
static bool unlink_job(Secrets *i, const IdentityJob *job) {
        IdentityJob **at = &i->jobs;

        while (*at && *at != job)
                at = &(*at)->next;
        if (!*at)
                return false;
        *at = job->next;
        i->n_jobs[job->enrols]--;
        return true;
}

/* Takes the job under way off the queue and tells its outcome. The callback may put in new jobs and cancel
 * others. */
static void finish(Secrets *i, IdentityResult result, const uint8_t *data, size_t n_data) {
        IdentityJob *j = i->jobs;

        (void)unlink_job(i, j);
        job_done(j, result, data, n_data);
}

static int ask(Secrets *i, IdentityJob *j) {
        HashQuestion q = {
                .version = HASH_WIRE_VERSION,
                .verb = verb(j),
                .id = j->id,
                .log_n = i->log_n[j->verifier->kind],
                .n_secret = (uint32_t)j->n_evidence,
        };

        memcpy(q.pepper, i->pepper, sizeof(q.pepper));
        if (j->compared < j->n_templates) {
                q.n_data = (uint32_t)j->templates[j->compared].n;
                memcpy(q.data, j->templates[j->compared].data, q.n_data);
        }
        memcpy(q.secret, j->evidence, q.n_secret);
        ssize_t n = send(i->worker.socket, &q, sizeof(q), MSG_DONTWAIT | MSG_NOSIGNAL);
        int r = n < 0 ? -errno : 0;
        explicit_bzero(&q, sizeof(q));
        if (r < 0)
                return r;
        if (j->compared + 1 >= j->comparisons)
                job_erase_evidence(j);
        j->asked = true;
        arm(i, JOB_USEC);
        return 0;
}

/* In order, but who signs in waits for one enrolment at most, and the other way round. */
static void choose(Secrets *i) {
        IdentityJob **at = &i->jobs, *j;

        /* Its other comparisons follow at once. */
        if (i->jobs->compared)
                return;
        while (*at && (*at)->enrols == i->enrolled_last)
                at = &(*at)->next;
        if (*at && *at != i->jobs) {
                j = *at;
                *at = j->next;
                j->next = i->jobs;
                i->jobs = j;
        }
        i->enrolled_last = i->jobs->enrols;
}

/* Gives the next job to the worker. */
static int next_job(Secrets *i) {
        int r = 0;

        if (!i->jobs) {
                if (i->worker.socket >= 0)
                        arm(i, IDLE_USEC);
                return 0;
        }
        if (i->jobs->asked)
                return 0;
        choose(i);
        if (i->worker.socket >= 0) {
                r = ask(i, i->jobs);
                if (r >= 0)
                        return 0;
                /* It died while it had nothing to do. */
                stop_worker(i);
        }
        r = start_worker(i);
        if (r >= 0)
                r = ask(i, i->jobs);
        i->failing = r < 0;
        return r;
}

static void go_on(Secrets *i) {
        int r;

        while ((r = next_job(i)) < 0) {
                log_error_errno(r, "Cannot start %s", i->program);
                finish(i, IDENTITY_FAILED, NULL, 0);
        }
}

static bool read_answer(Secrets *i, HashAnswer *ret) {
        ssize_t n = recv(i->worker.socket, ret, sizeof(*ret), MSG_DONTWAIT | MSG_TRUNC);

        if (n != sizeof(*ret) || ret->version != HASH_WIRE_VERSION || !i->jobs || !i->jobs->asked ||
            ret->id != i->jobs->id)
                return false;
        /* The answer to another kind of question is none, above all a match that nobody asked for. */
        switch (verb(i->jobs)) {
        case HASH_ENROL:
                return (ret->result == HASH_ENROLLED && ret->n_data <= sizeof(ret->data)) ||
                       ret->result == HASH_FAILED;
        case HASH_VERIFY:
                return ret->result == HASH_MATCH || ret->result == HASH_NO_MATCH ||
                       ret->result == HASH_FAILED;
        case HASH_VERIFY_NOTHING:
                return ret->result == HASH_NO_MATCH || ret->result == HASH_FAILED;
        }
        return false;
}

/* One comparison more of the job under way; all of them are made, whatever comes of the first. */
static void compared(Secrets *i, bool match) {
        IdentityJob *j = i->jobs;

        if (match) {
                j->match = (uint8_t)j->compared;
                j->n_matches++;
        }
        if (++j->compared < j->comparisons && j->done) {
                j->id = ++i->last_id;
                j->asked = false;
                return;
        }
        uint8_t winner = j->match;
        bool single = j->n_matches == 1;
        finish(i, single ? IDENTITY_MATCH : IDENTITY_NO_MATCH, single ? &winner : NULL, single);
}

/* Takes an answer if there is a good one; the queue does not go on by itself. */
static bool take_answer(Secrets *i) {
        HashAnswer a = {0};

        if (!read_answer(i, &a))
                return false;
        if (a.result == HASH_MATCH || a.result == HASH_NO_MATCH)
                compared(i, a.result == HASH_MATCH);
        else if (a.result == HASH_ENROLLED)
                finish(i, IDENTITY_ENROLLED, a.data, a.n_data);
        else
                finish(i, IDENTITY_FAILED, NULL, 0);
        explicit_bzero(&a, sizeof(a));
        return true;
}

static void give_up_worker(Secrets *i) {
        bool under_way = i->jobs && i->jobs->asked;

        stop_worker(i);
        if (under_way)
                finish(i, IDENTITY_FAILED, NULL, 0);
        go_on(i);
}

static int on_socket(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Secrets *i = userdata;

        if (take_answer(i))
                go_on(i);
        else {
                log_message(LOG_WARNING, LOCKERD_MESSAGE_WORKER_REPLACED, NULL,
                            "lockerd-hash ended or said something unexpected; it is replaced");
                give_up_worker(i);
        }
        return 0;
}

static int on_exit_of_worker(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Secrets *i = userdata;

        log_warning("lockerd-hash ended unexpectedly");
        /* It may have answered before; and whoever got that answer may have put in a job, which started
         * another. */
        (void)take_answer(i);
        if (i->on_exit == s)
                give_up_worker(i);
        else
                go_on(i);
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        Secrets *i = userdata;

        if (i->jobs) {
                log_message(LOG_ERR, LOCKERD_MESSAGE_WORKER_REPLACED, NULL,
                            "lockerd-hash took longer than %d s; it is replaced",
                            (int)(JOB_USEC / USEC_PER_SEC));
                give_up_worker(i);
        } else
                stop_worker(i);
        return 0;
}

int secrets_new(Secrets **ret, sd_event *event, const char *worker_directory, unsigned scrypt_log_n,
                const uint8_t pepper[32]) {
        if (scrypt_log_n < HASH_LOG_N_MIN || scrypt_log_n > HASH_LOG_N_MAX)
                return -EINVAL;
        Secrets *i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        i->worker = CHILD_NONE;
        i->event = sd_event_ref(event);
        for (int k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                i->log_n[k] = scrypt_log_n;
        memcpy(i->pepper, pepper, sizeof(i->pepper));
        i->program = text_printf("%s/lockerd-hash", worker_directory);
        int r = i->program ? 0 : -ENOMEM;
        if (r >= 0)
                r = sd_event_add_time(event, &i->timer, CLOCK_BOOTTIME, 0, 0, on_timer, i);
        if (r >= 0)
                r = sd_event_source_set_enabled(i->timer, SD_EVENT_OFF);
        if (r < 0) {
                secrets_free(i);
                return r;
        }
        *ret = i;
        return 0;
}

int secrets_set_cost(Secrets *i, CredentialKind k, unsigned scrypt_log_n) {
        if (k < 0 || k >= CREDENTIAL_KINDS_MAX || scrypt_log_n < HASH_LOG_N_MIN ||
            scrypt_log_n > HASH_LOG_N_MAX)
                return -EINVAL;
        i->log_n[k] = scrypt_log_n;
        return 0;
}

Secrets *secrets_free(Secrets *i) {
        if (!i)
                return NULL;
        stop_worker(i);
        while (i->jobs) {
                IdentityJob *j = i->jobs;
                i->jobs = j->next;
                job_free(j);
        }
        sd_event_source_disable_unref(i->timer);
        sd_event_unref(i->event);
        explicit_bzero(i->pepper, sizeof(i->pepper));
        free(i->program);
        free(i);
        return NULL;
}

int secrets_add(IdentityJob *job) {
        Secrets *i = job->identity->secrets;
        IdentityJob **last = &i->jobs;

        if (i->n_jobs[job->enrols] >= (job->enrols ? ENROLS_MAX : VERIFIES_MAX))
                return -ENOBUFS;
        job->id = ++i->last_id;
        while (*last)
                last = &(*last)->next;
        *last = job;
        i->n_jobs[job->enrols]++;
        int r = next_job(i);
        if (r < 0) /* without a worker nothing is taken in: the caller is told here and not called */
                (void)unlink_job(i, job);
        return r;
}

/* What the worker has is still to be answered; what waits gives its place to others. */
void secrets_cancel(IdentityJob *job) {
        job_erase_evidence(job);
        if (!job->asked && unlink_job(job->identity->secrets, job))
                job_free(job);
}

void secrets_health(const Identity *identity, IdentityHealth *ret) {
        if (!identity->secrets->failing)
                return;
        ret->state = "failed";
        snprintf(ret->sentence, sizeof(ret->sentence), "%s cannot be started.", identity->secrets->program);
}

bool secret_is_too_simple(const uint8_t *secret, size_t n) {
        bool same = true, up = true, down = true;

        for (size_t i = 1; i < n; i++) {
                same = same && secret[i] == secret[i - 1];
                up = up && secret[i] == secret[i - 1] + 1;
                down = down && secret[i] == secret[i - 1] - 1;
        }
        return same || up || down;
}
