/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the backend: stored, executed, answered (design rule 8); stored at the latest in the
 * transaction that makes it happen. A repeat gets the stored answer, an expired one is refused, and one that
 * a restart interrupted is not tried again but answered as what it is: unknown. */
#include "sync/inbox.h"
#include "base/log.h"
#include "base/text.h"
#include "core/access.h"
#include "ledger/lineage.h"
#include "message/compose.h"
#include "message/remote_command.h"
#include "sync/command_answer.h"
#include "sync/command_judge.h"
#include "sync/command_pace.h"
#include "sync/command_run.h"
#include "sync/freshness.h"
#include "sync/mqtt_client.h"
#include "sync/publication.h"
#include "sync/running.h"
#include "sync/sync_struct.h"
#include "ledger/inbox.h"
#include "message/arguments.h"

#include <errno.h>
#include <stdio.h>

#define STRAY_EVERY_USEC (60 * USEC_PER_SEC)

/* For messages that never become a command: nothing is stored, everything is answered. */
static void refuse(Sync *s, const MqttMessage *m, const char *id, const char *name, int result,
                   const char *detail) {
        Refusal refusal = refusal_of(result);
        _cleanup_erase_ char *answer = NULL;

        if (!pace_answers(s))
                return;
        if (!detail || !*detail)
                detail = refusal_why(result);
        log_notice("A command (%s) of the backend is refused: %s", name,
                   detail ? detail : refusal_sentence(refusal));
        if (compose_answer(ledger_epoch(s->ledger), id, name, refusal, detail, NULL, &answer) >= 0)
                answer_send(s, m->response_topic, m->correlation, answer);
}

/* --- execution --- */

/* Stored while it had to wait, and not fresh any more: it may come again under its id. */
static void refuse_stale(Running *r) {
        int e = r->stored ? ledger_inbox_withdraw(r->sync->ledger, r->row.id) : 0;

        if (e < 0)
                log_error_errno(e, "Cannot take back the stored command %s", r->row.id);
        r->kept = e < 0;
        r->sync->state_dirty = true; /* with a nonce that is good now */
        sync_wake(r->sync);
        command_answer(r, LOCKER_E_NOT_FRESH, NULL, NULL);
}

static void run(Running *r) {
        Moment now = locker_moment(r->sync->locker);
        int refusal = judge_time(r->sync, command_row(r->row.name), &r->command, &now);

        if (refusal == LOCKER_E_NOT_FRESH)
                refuse_stale(r);
        else if (refusal)
                command_answer(r, refusal, NULL, NULL);
        else
                command_run(r);
}

/* What opens a door is stored in the transaction that says so, what is answered at once together with its
 * answer: one durable commit where two would be waited for. What still goes on, without having begun, is
 * stored here. */
static void execute(Running *r) {
        Sync *s = r->sync;
        char id[COMMAND_ID_MAX + 1];

        snprintf(id, sizeof(id), "%s", r->row.id);
        run(r);
        r = running_find(s, id);
        if (!r || !r->kept || r->answer || r->row.begun || r->stored)
                return;
        int e = ledger_inbox_store(s->ledger, &r->row);
        if (e < 0)
                log_error_errno(e, "Cannot store command %s (%s) before it is carried out", id, r->row.name);
        else
                r->stored = true;
}

/* The command as it is kept: enough to go on after a restart, and to know a repeat. */
static char *pack(const RemoteCommand *c) {
        json_t *o = json_pack("{s:O, s:b, s:s, s:s}", "arguments", c->arguments, "signed", c->is_signed,
                              "key", c->key, "epoch", c->epoch);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        return text;
}

char *inbox_digest(const RemoteCommand *c) {
        char digest[COMMAND_DIGEST_MAX];
        json_t *o = remote_command_digest(c, digest) < 0
                            ? NULL
                            : json_pack("{s:s, s:b}", "digest", digest, "signed", c->is_signed);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        return text;
}

static int unpack(const InboxRow *row, RemoteCommand *ret) {
        json_t *o = row->command ? json_loads(row->command, 0, NULL) : NULL,
               *arguments = json_object_get(o, "arguments");
        const char *key = json_string_value(json_object_get(o, "key"));
        const char *epoch = json_string_value(json_object_get(o, "epoch"));
        RemoteCommand c = {.expires_usec = row->expires,
                           .is_signed = json_is_true(json_object_get(o, "signed")),
                           .arguments = json_incref(arguments)};

        snprintf(c.id, sizeof(c.id), "%s", row->id);
        snprintf(c.name, sizeof(c.name), "%s", row->name);
        snprintf(c.key, sizeof(c.key), "%s", key ? key : "");
        snprintf(c.epoch, sizeof(c.epoch), "%s", epoch ? epoch : "");
        json_decref(o);
        if (!c.arguments)
                return -EUCLEAN;
        *ret = c;
        return 0;
}

static char *copy(const char *text) {
        return text && *text ? strdup(text) : NULL;
}

/* Steals the command. */
static Running *running_new(Sync *s, RemoteCommand *command, const char *response_topic,
                            const char *correlation) {
        const CommandRow *row = command_row(command->name);
        Running *r = calloc(1, sizeof(*r));
        char *packed = r ? pack(command) : NULL;

        if (!packed) {
                free(r);
                return NULL;
        }
        *r = (Running){.next = s->running,
                       .sync = s,
                       .command = *command,
                       .kept = !row || row->act != ACT_ASK,
                       .row = {.received = clock_now().wall_usec,
                               .expires = command->expires_usec,
                               .is_signed = command->is_signed,
                               .command = packed,
                               .response_topic = copy(response_topic),
                               .correlation = copy(correlation)}};
        *command = (RemoteCommand){0};
        snprintf(r->row.id, sizeof(r->row.id), "%s", r->command.id);
        snprintf(r->row.name, sizeof(r->row.name), "%s", r->command.name);
        snprintf(r->actor, sizeof(r->actor), "backend%s%.30s", r->command.is_signed ? ":" : "",
                 r->command.key);
        s->running = r;
        return r;
}

/* --- repeats --- */

/* The expiry may be another one, and the key: whoever asks again some time later signs anew. */
static bool is_same(const InboxRow *row, const RemoteCommand *c) {
        json_t *stored = row->command ? json_loads(row->command, 0, NULL) : NULL,
               *arguments = json_object_get(stored, "arguments");
        const char *kept = json_string_value(json_object_get(stored, "digest"));
        char digest[COMMAND_DIGEST_MAX];
        bool same =
                streq(row->name, c->name) && json_is_true(json_object_get(stored, "signed")) == c->is_signed;

        if (same && arguments)
                same = json_equal(arguments, c->arguments);
        else if (same)
                same = kept && remote_command_digest(c, digest) >= 0 && streq(kept, digest);
        json_erase(stored);
        return same;
}

static Running *running_of_row(Sync *s, const InboxRow *row, const char *response_topic,
                               const char *correlation) {
        RemoteCommand c = {0};
        int e = unpack(row, &c);
        Running *r = e < 0 ? NULL : running_new(s, &c, response_topic, correlation);

        remote_command_done(&c);
        if (!r) {
                log_error_errno(e < 0 ? e : -ENOMEM, "Cannot go on with the stored command %s", row->id);
                return NULL;
        }
        r->stored = true;
        r->row.begun = row->begun;
        return r;
}

/* Judged again: it may have been stored under another configuration. */
static void go_on(Running *r) {
        char detail[MESSAGE_DETAIL_MAX] = "";

        r->waiting = false;
        if (r->row.begun) {
                command_answer(r, LOCKER_E_OUTCOME_UNKNOWN,
                               "A restart interrupted this command; look at the events for what it did.",
                               NULL);
                return;
        }
        int refusal = judge_command(r->sync, &r->command, detail);
        if (refusal == LOCKER_E_NOT_FRESH)
                refuse_stale(r);
        else if (refusal)
                command_answer(r, refusal, detail, NULL);
        else
                execute(r);
}

static void repeat_running(Sync *s, Running *r, const MqttMessage *m) {
        if (r->answer) {
                if (pace_answers(s))
                        answer_send(s, m->response_topic, m->correlation, r->answer);
                answers_save(s);
                return;
        }
        /* Its answer will come, and goes to who asked last. */
        char *topic = copy(m->response_topic), *correlation = copy(m->correlation);
        free(r->row.response_topic);
        free(r->row.correlation);
        r->row.response_topic = topic;
        r->row.correlation = correlation;
        if (r->waiting && !r->deferred && s->resumed) /* the ledger could not be read when it was its turn */
                go_on(r);
}

static void repeat_stored(Sync *s, const InboxRow *row, const MqttMessage *m) {
        if (row->answer) {
                if (pace_answers(s))
                        answer_send(s, m->response_topic, m->correlation, row->answer);
                return;
        }
        Running *r = running_of_row(s, row, m->response_topic, m->correlation);
        if (!r)
                return;
        if (s->resumed) /* it was given up when there was no memory or no disk for it */
                go_on(r);
        else
                r->waiting = true;
}

/* True: it was here before, or nobody can say whether it was; it is dealt with. */
static bool repeated(Sync *s, const MqttMessage *m, const RemoteCommand *c) {
        Running *running = running_find(s, c->id);
        InboxRow row = {0};

        if (!running) {
                int r = ledger_inbox_get(s->ledger, c->id, &row);
                if (r == -ENOENT)
                        return false;
                if (r < 0) {
                        log_error_errno(r, "Cannot look whether command %s was here before", c->id);
                        refuse(s, m, c->id, c->name, r, NULL);
                        return true;
                }
        }
        if (!is_same(running ? &running->row : &row, c))
                refuse(s, m, c->id, c->name, LOCKER_E_ID_REUSED, NULL);
        else if (running)
                repeat_running(s, running, m);
        else
                repeat_stored(s, &row, m);
        inbox_row_done(&row);
        return true;
}

/* --- what comes in --- */

static const char *command_name(const Sync *s, const char *topic) {
        char prefix[TOPIC_MAX];
        int n = snprintf(prefix, sizeof(prefix), "lockerd/v1/%s/command/", s->cabinet);

        return n > 0 && !strncmp(topic, prefix, (size_t)n) ? topic + n : NULL;
}

/* The boards are still being looked for: it is carried out together with the other stored ones. */
static void store_until_resumed(Running *r) {
        Sync *s = r->sync;
        int e = r->kept ? ledger_inbox_store(s->ledger, &r->row) : 0;

        if (e < 0) {
                log_error_errno(e, "Cannot store a command of the backend");
                command_answer(r, e, NULL, NULL);
                return;
        }
        r->stored = r->kept;
        r->waiting = true;
}

/* Its turn has come. */
static void begin(Running *r) {
        if (r->sync->resumed)
                execute(r);
        else
                store_until_resumed(r);
}

static void take(Sync *s, RemoteCommand *c, const MqttMessage *m, CommandClass class, bool now) {
        Running *r = running_new(s, c, m->response_topic, m->correlation);

        if (!r) {
                refuse(s, m, c->id, c->name, LOCKER_E_INTERNAL, NULL);
                return;
        }
        s->remembered += r->kept;
        if (now) {
                begin(r);
                return;
        }
        r->class = class;
        r->deferred = r->waiting = true;
        sync_wake(s);
}

static void take_if_it_may(Sync *s, RemoteCommand *c, const MqttMessage *m) {
        char detail[MESSAGE_DETAIL_MAX] = "";
        const CommandRow *row = command_row(c->name);
        CommandClass class = COMMAND_QUESTION;
        bool now = false;
        int refusal = judge_command(s, c, detail);

        if (!refusal)
                refusal = judge_room(s, row, detail);
        if (!refusal) {
                class = pace_class(row);
                now = pace_admits(s, class);
                if (!now)
                        refusal = pace_judge_waiting(s, class, detail);
        }
        if (refusal == LOCKER_E_NOT_FRESH) { /* with a nonce that is good now */
                s->state_dirty = true;
                sync_wake(s);
        }
        if (refusal)
                refuse(s, m, c->id, c->name, refusal, detail);
        else
                take(s, c, m, class, now);
}

/* What had to wait is judged once more: it may have expired meanwhile. */
void inbox_work(Sync *s) {
        Running *r;

        while ((r = pace_next_in_turn(s))) {
                r->deferred = r->waiting = false;
                if (s->resumed)
                        go_on(r);
                else
                        begin(r);
        }
}

static void read_message(Sync *s, const char *name, const MqttMessage *m) {
        char detail[MESSAGE_DETAIL_MAX] = "";
        RemoteCommand c = {0};

        if (m->too_large) {
                refuse(s, m, "", name, LOCKER_E_INVALID_ARGUMENT,
                       "The command is too large; 64 KiB are allowed.");
                return;
        }
        int r = remote_command_parse(s->cabinet, name, m->payload, m->n_payload, s->ring, &c, detail);
        if (!r && !answer_topic_is_fine(s, m->response_topic)) {
                r = LOCKER_E_INVALID_ARGUMENT;
                snprintf(detail, sizeof(detail),
                         "The response topic must not be below \"lockerd/\", except for this cabinet's own "
                         "\"reply\".");
        }
        if (r)
                refuse(s, m, c.id, name, r, detail);
        else if (!repeated(s, m, &c))
                take_if_it_may(s, &c, m);
        remote_command_done(&c);
}

/* Some brokers write a dot of a topic as a slash: commands of a cabinet with one in its number then come on a
 * topic that is nearly its own, and nobody would know why nothing happens. */
static bool nearly_ours(const Sync *s, const char *topic) {
        static const char before[] = "lockerd/v1/", after[] = "/command/";
        size_t n = strlen(s->cabinet);

        if (strncmp(topic, before, sizeof(before) - 1) != 0)
                return false;
        topic += sizeof(before) - 1;
        for (size_t i = 0; i < n; i++)
                if (!topic[i] || (topic[i] != s->cabinet[i] && topic[i] != '/'))
                        return false;
        return strncmp(topic + n, after, sizeof(after) - 1) == 0;
}

void inbox_message(Sync *s, const MqttMessage *m) {
        const char *name = command_name(s, m->topic);
        uint64_t now = clock_now().boot_usec;

        if (name) {
                read_message(s, name, m);
                return;
        }
        if (now < s->stray_log_at)
                return;
        s->stray_log_at = now + STRAY_EVERY_USEC;
        log_warning("A message on %.200s is not taken: it is not a topic of cabinet %s%s", m->topic,
                    s->cabinet,
                    nearly_ours(s, m->topic)
                            ? "; the broker seems to write dots as slashes, so the cabinet needs a "
                              "Number= without dots"
                            : "");
}

/* --- after a restart --- */

typedef struct Left {
        InboxRow *rows;
        size_t n;
} Left;

static int collect_left(void *userdata, const InboxRow *row) {
        Left *left = userdata;
        InboxRow *grown = reallocarray(left->rows, left->n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        left->rows = grown;
        InboxRow *copy = &left->rows[left->n++];
        *copy = *row;
        copy->answer = NULL;
        copy->command = strdup(row->command ? row->command : "");
        copy->response_topic = row->response_topic ? strdup(row->response_topic) : NULL;
        copy->correlation = row->correlation ? strdup(row->correlation) : NULL;
        return copy->command ? 0 : -ENOMEM;
}

/* Which the ledger does not know. */
static void go_on_with_questions(Sync *s) {
        Running *r;

        do {
                for (r = s->running; r && (!r->waiting || r->kept || r->deferred); r = r->next)
                        ;
                if (r)
                        go_on(r);
        } while (r);
}

void inbox_recover(Sync *s) {
        Left left = {0};
        int r = ledger_inbox_each_open(s->ledger, collect_left, &left);

        for (size_t i = 0; i < left.n; i++) {
                InboxRow *row = &left.rows[i];
                Running *running = running_find(s, row->id);
                if (r >= 0 && !running) {
                        running = running_of_row(s, row, row->response_topic, row->correlation);
                        if (running)
                                running->waiting = true;
                }
                if (r >= 0 && running && running->waiting && !running->deferred)
                        go_on(running);
                inbox_row_done(row);
        }
        free(left.rows);
        if (r < 0)
                log_error_errno(r, "Cannot read the stored commands");
        go_on_with_questions(s);
}

void inbox_forget(Sync *s) {
        Moment now = locker_moment(s->locker);

        /* What is known of a command is given up by no calendar that nobody vouches for. */
        if (!now.vouched)
                return;
        int r = ledger_inbox_forget(s->ledger, now.wall - FORGET_AFTER_USEC);
        if (r > 0) /* whatever was signed for a nonce of before is not for now */
                freshness_renew(&s->freshness);
        if (r >= 0)
                r = inbox_init(s);
        if (r < 0)
                log_error_errno(r, "Cannot clear old commands");
}

int inbox_init(Sync *s) {
        int r = ledger_inbox_forgotten(s->ledger, &s->forgotten);

        return r < 0 ? r : ledger_inbox_count(s->ledger, &s->remembered);
}
