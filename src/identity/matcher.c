/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/matcher.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/message_ids.h"
#include "base/opener.h"
#include "base/supervisor.h"
#include "base/text.h"
#include "core/bucket.h"
#include "identity/matcher_wire.h"

#include <errno.h>
#include <stdio.h>

#define UNANSWERED    3 /* pings; then the worker hangs */
#define RESTART_FIRST (250 * USEC_PER_MSEC)
#define RESTART_MAX   (30 * USEC_PER_SEC)
#define BUFFER        (256 * 1024)        /* more than the longest message */
#define ENROL_USEC    (60 * USEC_PER_SEC) /* all samples of an enrolment together */
#define GRACE         (7 * USEC_PER_SEC)  /* beyond it, for its end: a slow module is wiped in four seconds */
#define WORKER_USEC   (3 * USEC_PER_SEC)  /* a job waits for a worker */
#define CANCEL_USEC   (10 * USEC_PER_SEC) /* wiping a module at 9600 baud takes several seconds */
#define LEAVE_USEC    (2 * USEC_PER_SEC)

/* Each message of a worker may be a signal to every kiosk, and a line in the journal: an honest one sends a
 * few with each touch. */
static const BucketRules message_pace = {.burst = 100, .each_usec = 100 * USEC_PER_MSEC};
static const BucketRules log_pace = {.burst = 10, .each_usec = 60 * USEC_PER_SEC};

struct Matcher {
        Identity *identity;
        const IdentityReader *reader;
        sd_event *event;
        char *opener; /* the program */
        Supervisor *worker;
        sd_event_source *timer;
        const char *fields[3]; /* of its log messages */
        bool greeted;          /* the worker has said what it is */
        uint32_t abilities;

        IdentityJob *job;  /* the one that somebody waits for; asked: the worker has it */
        uint64_t running;  /* the attempt that the worker is at, also a cancelled one; 0: none */
        bool cancelled;    /* the worker was told to end it */
        bool prompted;     /* somebody has been asked to show something */
        uint64_t until;    /* boot µs: when it must have come to its end */
        uint64_t attempts; /* the last number */

        bool told; /* it has said how its reader is */
        MatcherProblem problem;
        char detail[MATCHER_DETAIL_MAX];
        char gone[160];          /* why there is no worker; "" */
        Bucket messages, logged; /* of all workers; lines about the reader's health */
        uint8_t buffer[MATCHER_WIRE_MAX];
};

static const struct {
        IdentityResult result;
        const char *sentence;
} problems[MATCHER_PROBLEM_MAX] = {
        [MATCHER_PROBLEM_NONE] = {IDENTITY_FAILED, ""},
        [MATCHER_PROBLEM_MISSING] = {IDENTITY_READER_FAILED, "The reader is not connected."},
        [MATCHER_PROBLEM_UNPLUGGED] = {IDENTITY_READER_FAILED, "The reader was unplugged."},
        [MATCHER_PROBLEM_SILENT] = {IDENTITY_READER_FAILED, "The reader does not answer, or too late."},
        [MATCHER_PROBLEM_CORRUPT] = {IDENTITY_READER_FAILED,
                                     "The reader's answers are damaged: look at its cable."},
        [MATCHER_PROBLEM_CHATTER] = {IDENTITY_READER_FAILED,
                                     "The reader sends what nobody has asked for: look at its cable."},
        [MATCHER_PROBLEM_PASSWORD] = {IDENTITY_READER_FAILED,
                                      "The reader is protected by a password that is not known here."},
        [MATCHER_PROBLEM_REFUSES] = {IDENTITY_READER_FAILED, "The reader reports an error."},
        [MATCHER_PROBLEM_OTHER_READER] =
                {IDENTITY_READER_FAILED,
                 "This was enrolled with another type of reader. Please enrol again."},
        [MATCHER_PROBLEM_BAD_TEMPLATE] = {IDENTITY_READER_FAILED,
                                          "What is stored of the enrolment is damaged. Please enrol again."},
        [MATCHER_PROBLEM_NO_SAMPLE] = {IDENTITY_NO_SAMPLE, "Nothing was shown to the reader in time."},
        [MATCHER_PROBLEM_POOR_SAMPLE] = {IDENTITY_NO_SAMPLE,
                                         "The reader could not make anything of it. Please try again."},
        [MATCHER_PROBLEM_UNLIKE] = {IDENTITY_NO_SAMPLE, "That was not the same twice. Please begin again."},
        [MATCHER_PROBLEM_SEVERAL] =
                {IDENTITY_READER_FAILED,
                 "There are several readers; Id= of the cabinet's configuration says which."},
        [MATCHER_PROBLEM_UNSUITABLE] = {IDENTITY_READER_FAILED, "This type of reader cannot be used here."},
        [MATCHER_PROBLEM_BUSY] = {IDENTITY_READER_FAILED, "Another program is using the reader."},
        [MATCHER_PROBLEM_HOT] = {IDENTITY_READER_FAILED,
                                 "The reader is too hot. Please wait some minutes, or use another way."},
        [MATCHER_PROBLEM_MODEL_MISSING] = {IDENTITY_READER_FAILED, "A model file cannot be read."},
        [MATCHER_PROBLEM_MODEL_OTHER] = {IDENTITY_READER_FAILED,
                                         "A model file is not the one that the configuration names."},
        [MATCHER_PROBLEM_MODEL_UNUSABLE] = {IDENTITY_READER_FAILED, "A model file cannot be used."},
        [MATCHER_PROBLEM_OTHER_MODEL] = {IDENTITY_READER_FAILED,
                                         "This was enrolled with other models. Please enrol again."},
        [MATCHER_PROBLEM_NO_FACE] = {IDENTITY_NO_SAMPLE, "No face was clearly seen in time."},
        [MATCHER_PROBLEM_SEVERAL_FACES] =
                {IDENTITY_NO_SAMPLE, "More than one face was in view. Please come to the camera alone."},
        [MATCHER_PROBLEM_TOO_DARK] = {IDENTITY_NO_SAMPLE, "It was too dark to see a face."},
        [MATCHER_PROBLEM_TOO_FAR] = {IDENTITY_NO_SAMPLE, "The face was too far away. Please come nearer."},
        [MATCHER_PROBLEM_TOO_SHORT] = {IDENTITY_NO_SAMPLE, "What was said was too short. Please try again."},
        [MATCHER_PROBLEM_TOO_LONG] =
                {IDENTITY_NO_SAMPLE,
                 "What was said was too long, or there was no pause after it. Please try again."},
        [MATCHER_PROBLEM_TOO_LOUD] = {IDENTITY_NO_SAMPLE, "What was said was too loud. Please try again."},
        [MATCHER_PROBLEM_TOO_QUIET] = {IDENTITY_NO_SAMPLE, "What was said was too quiet. Please try again."},
        [MATCHER_PROBLEM_NOISE] =
                {IDENTITY_NO_SAMPLE,
                 "It is too noisy here to hear anybody. Please try again, or use another way."},
        [MATCHER_PROBLEM_FAULT] = {IDENTITY_READER_FAILED, "There is a fault in the reader's program."},
};

static const struct {
        const char *what, *sentence;
} prompts[MATCHER_PROMPT_MAX] = {
        [MATCHER_PROMPT_TOUCH] = {"touch", "Please put your finger on the reader."},
        [MATCHER_PROMPT_LIFT] = {"lift", "Please lift your finger."},
        [MATCHER_PROMPT_AGAIN] = {"again", "Please put the same finger on the reader again."},
        [MATCHER_PROMPT_READER_MISSING] = {"reader-missing",
                                           "The reader is missing. Please use another way."},
        [MATCHER_PROMPT_SPEAK] = {"speak", "Please speak now."},
        [MATCHER_PROMPT_LOOK] = {"look", "Please look into the camera."},
        [MATCHER_PROMPT_LOOK_AGAIN] = {"again", "Please look into the camera once more."},
        [MATCHER_PROMPT_NEARER] = {"nearer", "Please come nearer to the camera."},
        [MATCHER_PROMPT_TOO_DARK] = {"too-dark", "It is too dark for the camera. Please turn to the light."},
        [MATCHER_PROMPT_ALONE] = {"alone", "More than one face is in view. Please come to the camera alone."},
        [MATCHER_PROMPT_SAY_AGAIN] = {"again", "Please say the same again."},
        [MATCHER_PROMPT_TOO_SHORT] = {"too-short", "That was too short. Please say all of it again."},
        [MATCHER_PROMPT_TOO_LONG] = {"too-long",
                                     "That was too long. Please say it again, and then be silent."},
        [MATCHER_PROMPT_TOO_LOUD] = {"too-loud", "That was too loud. Please say it again, less loudly."},
        [MATCHER_PROMPT_TOO_QUIET] = {"too-quiet",
                                      "That was too quiet. Please say it again, close to the microphone."},
        [MATCHER_PROMPT_NOISE] = {"noise", "It is noisy here. Please speak close to the microphone."},
};

static void health_changed(Matcher *m) {
        if (m->identity->health_changed)
                m->identity->health_changed(m->identity->health_userdata);
}

static void arm(Matcher *m, uint64_t usec) {
        (void)sd_event_source_set_time_relative(m->timer, usec);
        (void)sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
}

static void disarm(Matcher *m) {
        (void)sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
}

/* Whoever hears of it may put in the next one. */
static void finish(Matcher *m, IdentityResult result, const uint8_t *data, size_t n) {
        IdentityJob *j = steal_ptr(m->job);

        if (j)
                job_done(j, result, data, n);
}

static void finish_saying(Matcher *m, IdentityResult result, const char *sentence) {
        finish(m, result, (const uint8_t *)sentence, strlen(sentence));
}

/* An enrolment also ends when nobody has shown anything for long since it was asked for. */
static void arm_attempt(Matcher *m) {
        uint64_t now = clock_now().boot_usec, left = m->until - MIN(now, m->until);

        arm(m, m->job && m->job->enrols ? MIN(left, m->identity->patience + GRACE) : left);
}

static int start(Matcher *m) {
        IdentityJob *j = m->job;
        int socket = supervisor_socket(m->worker), r = 0;
        uint64_t usec = j->enrols ? ENROL_USEC : m->identity->patience;
        MatcherTask task = {.timeout_ms = (uint32_t)(usec / USEC_PER_MSEC)};

        task.header.attempt = ++m->attempts;
        task.n_candidates = j->n_templates;
        task.n_comparisons = j->enrols ? 0 : j->comparisons;
        for (unsigned i = 0; r >= 0 && i < j->n_templates; i++) {
                MatcherCandidate candidate = {.header.attempt = m->attempts, .number = i + 1};
                r = matcher_wire_send(socket, MATCHER_CANDIDATE, &candidate, j->templates[i].data,
                                      j->templates[i].n, -1);
        }
        if (r >= 0)
                r = matcher_wire_send(socket, j->enrols ? MATCHER_ENROL : MATCHER_VERIFY, &task, NULL, 0, -1);
        if (r < 0)
                return r;
        m->running = m->attempts;
        m->cancelled = m->prompted = false;
        j->asked = true;
        m->until = clock_now().boot_usec + usec + GRACE;
        arm_attempt(m);
        return 0;
}

/* Nothing comes any more of what the worker was at. Whoever waits for their turn goes on waiting, not longer
 * than they would have. */
static void lose_attempt(Matcher *m) {
        bool was_running = m->running;

        m->greeted = false;
        m->running = 0;
        if (m->job && !m->job->asked) {
                if (was_running)
                        arm(m, WORKER_USEC);
                return;
        }
        disarm(m);
        finish_saying(m, IDENTITY_READER_FAILED, problems[MATCHER_PROBLEM_FAULT].sentence);
}

/* The worker has done something that it may not: it gets no more, and is replaced. */
static void give_up_worker(Matcher *m, const char *what) {
        log_message(LOG_WARNING, LOCKERD_MESSAGE_WORKER_REPLACED, m->fields, "lockerd-%s %s; it is replaced",
                    credential_kind_to_string(m->reader->kind), what);
        supervisor_hang_up(m->worker);
        lose_attempt(m);
}

/* Gives the waiting job to the worker as soon as that is free. */
static void go_on(Matcher *m) {
        if (!m->job || m->job->asked || !m->greeted || m->running)
                return;
        if (start(m) < 0)
                give_up_worker(m, "does not take messages");
}

static void cancel(Matcher *m) {
        MatcherPlain p = {.header.attempt = m->running};

        m->cancelled = true;
        m->until = clock_now().boot_usec + CANCEL_USEC;
        arm(m, CANCEL_USEC);
        if (matcher_wire_send(supervisor_socket(m->worker), MATCHER_CANCEL, &p, NULL, 0, -1) < 0)
                give_up_worker(m, "does not take messages");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Matcher *m = userdata;

        if (m->running && clock_now().boot_usec < m->until) {
                cancel(m);
                finish_saying(m, problems[MATCHER_PROBLEM_NO_SAMPLE].result,
                              problems[MATCHER_PROBLEM_NO_SAMPLE].sentence);
        } else if (m->running)
                give_up_worker(m, "does not come to an end");
        else if (m->job)
                finish_saying(m, IDENTITY_READER_FAILED,
                              *m->gone ? "The reader's program is not running."
                                       : "The reader's program does not answer.");
        return 0;
}

/* --- what the worker says --- */

static bool take_hello(Matcher *m, const MatcherHello *h) {
        if (m->greeted || !streq(h->kind, credential_kind_to_string(m->reader->kind)))
                return false;
        m->greeted = true;
        m->abilities = h->abilities;
        *m->gone = 0;
        health_changed(m);
        return true;
}

static void log_health(Matcher *m) {
        if (!bucket_take(&m->logged, &log_pace, clock_now().boot_usec))
                return;
        if (m->problem)
                log_message(LOG_WARNING, LOCKERD_MESSAGE_READER_FAILED, m->fields, "Reader %s: %s",
                            credential_kind_to_string(m->reader->kind), problems[m->problem].sentence);
        else
                log_info("Reader %s works: %s", credential_kind_to_string(m->reader->kind), m->detail);
}

static bool take_health(Matcher *m, const MatcherHealth *h) {
        bool same = m->told && m->problem == (MatcherProblem)h->problem;

        m->told = true;
        m->problem = (MatcherProblem)h->problem;
        snprintf(m->detail, sizeof(m->detail), "%s", h->detail);
        if (same)
                return true;
        log_health(m);
        health_changed(m);
        return true;
}

static bool take_progress(Matcher *m, const MatcherProgress *p) {
        if (p->header.attempt != m->running)
                return false;
        if (p->prompt != MATCHER_PROMPT_READER_MISSING)
                m->prompted = true;
        if (!m->job || !m->job->asked)
                return true;
        arm_attempt(m);
        if (m->job->progress)
                m->job->progress(m->job->userdata,
                                 &(IdentityPrompt){prompts[p->prompt].what, prompts[p->prompt].sentence,
                                                   p->taken, p->of});
        return true;
}

/* Is that an answer to what it was asked for? */
static bool is_answer(const Matcher *m, const MatcherResult *r) {
        const IdentityJob *j = m->job && m->job->asked ? m->job : NULL;

        switch ((MatcherOutcome)r->outcome) {
        case MATCHER_CANCELLED:
                return m->cancelled;
        case MATCHER_FAILED:
                return true;
        case MATCHER_ENROLLED:
                return m->prompted && (!j || j->enrols);
        case MATCHER_MATCH: /* with somebody, who has been asked to show something */
                return m->prompted && (!j || (!j->enrols && r->candidate <= j->n_templates));
        case MATCHER_NO_MATCH:
                return m->prompted && (!j || !j->enrols);
        case MATCHER_OUTCOME_MAX:
                break;
        }
        return false;
}

static void tell_result(Matcher *m, const MatcherResult *r, const uint8_t *data) {
        switch ((MatcherOutcome)r->outcome) {
        case MATCHER_MATCH:
                finish(m, IDENTITY_MATCH, &(uint8_t){(uint8_t)(r->candidate - 1)}, 1);
                break;
        case MATCHER_NO_MATCH:
                finish(m, IDENTITY_NO_MATCH, NULL, 0);
                break;
        case MATCHER_ENROLLED:
                finish(m, IDENTITY_ENROLLED, data, r->header.n_data);
                break;
        case MATCHER_FAILED:
                finish_saying(m, problems[r->problem].result, problems[r->problem].sentence);
                break;
        case MATCHER_CANCELLED:
        case MATCHER_OUTCOME_MAX:
                break;
        }
}

static bool take_result(Matcher *m, const MatcherResult *r, const uint8_t *data) {
        /* Nobody has asked, or not for this: also what comes late of an attempt before. */
        if (!m->running || r->header.attempt != m->running || !is_answer(m, r))
                return false;
        m->running = 0;
        disarm(m);
        if (m->job && m->job->asked)
                tell_result(m, r, data);
        else if (m->job)
                arm(m, WORKER_USEC);
        go_on(m);
        return true;
}

static bool take(Matcher *m, const MatcherMessage *message) {
        const MatcherBody *b = &message->body;

        if (!bucket_take(&m->messages, &message_pace, clock_now().boot_usec))
                return false;
        if (b->header.type != MATCHER_HELLO && !m->greeted)
                return false;
        switch ((MatcherType)b->header.type) {
        case MATCHER_HELLO:
                if (!take_hello(m, &b->hello))
                        return false;
                go_on(m);
                return true;
        case MATCHER_HEALTH:
                return take_health(m, &b->health);
        case MATCHER_PROGRESS:
                return take_progress(m, &b->progress);
        case MATCHER_RESULT:
                return take_result(m, &b->result, message->data);
        case MATCHER_PONG:
                return true;
        case MATCHER_SETUP:
        case MATCHER_DEVICE:
        case MATCHER_ENROL:
        case MATCHER_CANDIDATE:
        case MATCHER_VERIFY:
        case MATCHER_WATCH:
        case MATCHER_CANCEL:
        case MATCHER_PING:
        case MATCHER_TYPE_MAX:
                break;
        }
        return false;
}

/* --- supervision --- */

/* One message a turn of the loop: a flood must not keep doors waiting. */
static bool readable(void *userdata) {
        Matcher *m = userdata;
        MatcherMessage message;
        int r = matcher_wire_receive(supervisor_socket(m->worker), false, m->buffer, &message, NULL);

        if (r == 0)
                return true;
        if (r > 0) {
                supervisor_heard(m->worker);
                bool taken = take(m, &message);
                explicit_bzero(m->buffer, sizeof(MatcherBody) + message.body.header.n_data);
                if (taken)
                        return true;
        }
        if (r != -EPIPE)
                give_up_worker(m, "has said something that nobody asked for, or too much");
        return false;
}

static int started(void *userdata) {
        Matcher *m = userdata;
        const IdentityReader *reader = m->reader;
        const char *kind = credential_kind_to_string(reader->kind);
        bool opens = reader_opens_itself(reader);
        MatcherSetup setup = {.baud = opens ? 0 : reader->baud};
        MatcherPlain device = {0};
        _cleanup_close_ int opener = -1;

        m->greeted = m->told = false;
        m->running = 0;
        snprintf(setup.kind, sizeof(setup.kind), "%s", kind);
        snprintf(setup.name, sizeof(setup.name), "%s", kind);
        const char *which = reader->usb ? reader->id : reader->device;
        if (which && snprintf(setup.device, sizeof(setup.device), "%s", which) >= (int)sizeof(setup.device))
                return -ENAMETOOLONG;
        int r = matcher_wire_send(supervisor_socket(m->worker), MATCHER_SETUP, &setup, reader->setup,
                                  reader->n_setup, -1);
        if (r < 0 || opens) /* the unit of its worker opens it */
                return r;
        r = opener_start(m->event, m->opener, reader->device, &opener);
        if (r >= 0)
                r = matcher_wire_send(supervisor_socket(m->worker), MATCHER_DEVICE, &device, NULL, 0, opener);
        return r;
}

static int ping(void *userdata, uint64_t number) {
        Matcher *m = userdata;
        MatcherPlain p = {.number = number};

        return matcher_wire_send(supervisor_socket(m->worker), MATCHER_PING, &p, NULL, 0, -1);
}

static void gone(void *userdata, const char *sentence) {
        Matcher *m = userdata;

        m->told = false;
        snprintf(m->gone, sizeof(m->gone), "%s", sentence);
        lose_attempt(m);
        health_changed(m);
}

/* --- jobs --- */

int matcher_add(IdentityJob *job) {
        Matcher *m = job->identity->matchers[job->verifier->kind];

        if (!m)
                return -ENODEV;
        /* Two at one reader: whose finger is it? */
        if (m->job)
                return -EBUSY;
        m->job = job;
        job->asked = false;
        if (m->greeted && !m->running) {
                int r = start(m);
                if (r >= 0)
                        return 0;
                m->job = NULL;
                give_up_worker(m, "does not take messages");
                return r;
        }
        /* While a cancelled attempt comes to its end, its own time counts. */
        if (!m->running)
                arm(m, WORKER_USEC);
        return 0;
}

void matcher_cancel(IdentityJob *job) {
        Matcher *m = job->identity->matchers[job->verifier->kind];
        bool asked = job->asked;

        m->job = NULL;
        job_free(job);
        if (!asked) {
                if (!m->running)
                        disarm(m);
                return;
        }
        cancel(m);
}

void matcher_health(const Identity *i, CredentialKind k, IdentityHealth *ret) {
        const Matcher *m = i->matchers[k];

        if (!m)
                return;
        if (*m->gone || !m->greeted || !m->told) {
                ret->state = *m->gone ? "failed" : "starting";
                snprintf(ret->sentence, sizeof(ret->sentence), "%s",
                         *m->gone ? m->gone : "The reader's program is starting.");
                return;
        }
        ret->state = m->problem ? "failed" : "ok";
        if (m->problem && *m->detail)
                snprintf(ret->sentence, sizeof(ret->sentence), "%s (%s)", problems[m->problem].sentence,
                         m->detail);
        else
                snprintf(ret->sentence, sizeof(ret->sentence), "%s",
                         m->problem ? problems[m->problem].sentence : m->detail);
}

static const SupervisorHandlers handlers = {started, readable, ping, gone};

static int prepare(Matcher *m, const char *worker_directory) {
        const char *kind = credential_kind_to_string(m->reader->kind);
        _cleanup_free_ char *program =
                text_printf("%s/lockerd-%s%s", worker_directory, kind, m->reader->usb ? "-usb" : "");
        _cleanup_free_ char *name = text_printf("The worker of reader %s", kind);

        m->opener = text_printf("%s/lockerd-open", worker_directory);
        if (!program || !name || !m->opener)
                return -ENOMEM;
        m->fields[0] = "LOCKERD_READER";
        m->fields[1] = kind;
        const SupervisorOptions options = {.program = program,
                                           .argument = kind,
                                           .name = name,
                                           .fields = m->fields,
                                           .unanswered = UNANSWERED,
                                           .first_pause = RESTART_FIRST,
                                           .max_pause = RESTART_MAX,
                                           .buffer = BUFFER};
        return supervisor_new(&m->worker, m->event, &options, &handlers, m);
}

int matcher_new(Matcher **ret, sd_event *event, const char *worker_directory, const IdentityReader *reader,
                Identity *identity) {
        _cleanup_(matcher_freep) Matcher *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->identity = identity;
        m->reader = reader;
        m->event = sd_event_ref(event);
        m->attempts = clock_now().boot_usec;
        int r = prepare(m, worker_directory);
        if (r >= 0)
                r = sd_event_add_time(event, &m->timer, CLOCK_BOOTTIME, 0, 0, on_timer, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        supervisor_start(m->worker);
        *ret = steal_ptr(m);
        return 0;
}

Matcher *matcher_free(Matcher *m) {
        if (!m)
                return NULL;
        if (m->worker) {
                supervisor_stop(m->worker);
                supervisor_hang_up(m->worker);
                /* It still wipes what a person's finger has left in the reader. */
                if (!supervisor_join(m->worker, clock_now().boot_usec + LEAVE_USEC))
                        supervisor_kill(m->worker);
                supervisor_free(m->worker);
        }
        job_free(m->job);
        sd_event_source_disable_unref(m->timer);
        sd_event_unref(m->event);
        free(m->opener);
        explicit_bzero(m->buffer, sizeof(m->buffer));
        free(m);
        return NULL;
}
