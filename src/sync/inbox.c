/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the backend: stored, executed, answered (design rule 8); stored at the latest in the
 * transaction that makes it happen. A repeat gets the stored answer, an expired one is refused, and one that
 * a restart interrupted is not tried again but answered as what it is: unknown. */
#include "sync/private.h"

#include <errno.h>
#include <stdio.h>

static int64_t wall(void) {
        return clock_now().wall_usec;
}

/* For messages that never become a command: nothing is stored, everything is answered. */
static void refuse(Sync *s, const MqttMessage *m, const char *id, const char *name, Refusal refusal,
                   const char *detail) {
        _cleanup_erase_ char *answer = NULL;

        log_notice("A command (%s) of the backend is refused: %s", name,
                   detail && *detail ? detail : refusal_sentence(refusal));
        if (compose_answer(id, name, refusal, detail, NULL, &answer) >= 0)
                answer_send(s, m->response_topic, m->correlation, answer);
}

/* --- execution --- */

static void judge_and_run(Running *r) {
        Act act;

        if (r->row.expires <= wall()) {
                command_answer(r, LOCKER_E_EXPIRED, NULL, NULL);
                return;
        }
        if (command_act(r->row.name, &act) < 0) {
                command_answer(r, LOCKER_E_UNKNOWN_COMMAND, NULL, NULL);
                return;
        }
        if (access_of_caller(act, r->callers)) {
                command_answer(
                        r, access_callers(act) & CALLER_SIGNED ? LOCKER_E_NOT_SIGNED : LOCKER_E_ACCESS_DENIED,
                        NULL, NULL);
                return;
        }
        command_run(r);
}

/* What opens a door is stored in the transaction that says so, what is answered at once together with its
 * answer: one durable commit where two would be waited for. What still goes on, without having begun, is
 * stored here. */
static void execute(Running *r) {
        Sync *s = r->sync;
        char id[COMMAND_ID_MAX + 1];

        snprintf(id, sizeof(id), "%s", r->row.id);
        judge_and_run(r);
        r = running_find(s, id);
        if (!r || r->answer || r->row.begun || r->stored)
                return;
        int e = ledger_inbox_store(s->ledger, &r->row);
        if (e < 0)
                log_error_errno(e, "Cannot store command %s (%s) before it is carried out", id, r->row.name);
        else
                r->stored = true;
}

/* The command as it is kept: enough to go on after a restart, and to know a repeat. */
static char *pack(const RemoteCommand *c) {
        json_t *o = json_pack("{s:O, s:b, s:s}", "arguments", c->arguments, "signed", c->is_signed, "key",
                              c->key);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        return text;
}

static int unpack(const InboxRow *row, RemoteCommand *ret) {
        json_t *o = row->command ? json_loads(row->command, 0, NULL) : NULL,
               *arguments = json_object_get(o, "arguments");
        const char *key = json_string_value(json_object_get(o, "key"));
        RemoteCommand c = {.expires_usec = row->expires,
                           .is_signed = json_is_true(json_object_get(o, "signed")),
                           .arguments = json_incref(arguments)};

        snprintf(c.id, sizeof(c.id), "%s", row->id);
        snprintf(c.name, sizeof(c.name), "%s", row->name);
        snprintf(c.key, sizeof(c.key), "%s", key ? key : "");
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
        Running *r = calloc(1, sizeof(*r));
        char *packed = r ? pack(command) : NULL;

        if (!packed) {
                free(r);
                return NULL;
        }
        *r = (Running){.next = s->running,
                       .sync = s,
                       .command = *command,
                       .callers = command->is_signed || s->settings->mqtt.unsigned_open ? CALLER_SIGNED
                                                                                        : CALLER_BACKEND,
                       .row = {.received = wall(),
                               .expires = command->expires_usec,
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
        RemoteCommand stored = {0};
        bool same = streq(row->name, c->name) && unpack(row, &stored) >= 0 &&
                    stored.is_signed == c->is_signed && json_equal(stored.arguments, c->arguments);

        remote_command_done(&stored);
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

static void go_on(Running *r) {
        r->waiting = false;
        if (r->row.begun)
                command_answer(r, LOCKER_E_OUTCOME_UNKNOWN,
                               "A restart interrupted this command; look at the events for what it did.",
                               NULL);
        else
                execute(r);
}

static void repeat_running(Sync *s, Running *r, const MqttMessage *m) {
        if (r->answer) {
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
        if (r->waiting && s->resumed) /* the ledger could not be read when it was its turn */
                go_on(r);
}

static void repeat_stored(Sync *s, const InboxRow *row, const MqttMessage *m) {
        if (row->answer) {
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
                        refuse(s, m, c->id, c->name, answer_refusal(r), NULL);
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

static void take(Sync *s, RemoteCommand *c, const MqttMessage *m) {
        Running *r = running_new(s, c, m->response_topic, m->correlation);

        if (!r) {
                refuse(s, m, c->id, c->name, LOCKER_E_INTERNAL, NULL);
                return;
        }
        if (s->resumed) {
                execute(r);
                return;
        }
        /* The boards are still being looked for: it is carried out together with the other stored ones. */
        int e = ledger_inbox_store(s->ledger, &r->row);
        if (e >= 0) {
                r->stored = r->waiting = true;
                return;
        }
        log_error_errno(e, "Cannot store a command of the backend");
        refuse(s, m, r->row.id, r->row.name, answer_refusal(e), NULL);
        running_free(r);
}

void inbox_message(Sync *s, const MqttMessage *m) {
        const char *name = command_name(s, m->topic);
        char detail[MESSAGE_DETAIL_MAX] = "";
        RemoteCommand c = {0};

        if (!name)
                return;
        if (m->too_large) {
                refuse(s, m, "", name, LOCKER_E_INVALID_ARGUMENT,
                       "The command is too large; 64 KiB are allowed.");
                return;
        }
        int r = remote_command_parse(s->cabinet, name, m->payload, m->n_payload, s->ring, &c, detail);
        if (r)
                refuse(s, m, c.id, name, answer_refusal(r), detail);
        else if (!repeated(s, m, &c))
                take(s, &c, m);
        remote_command_done(&c);
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
                if (r >= 0 && running && running->waiting)
                        go_on(running);
                inbox_row_done(row);
        }
        free(left.rows);
        if (r < 0)
                log_error_errno(r, "Cannot read the stored commands");
}

void inbox_forget(Sync *s) {
        /* A day longer than anybody may repeat it: clocks differ. */
        int r = ledger_inbox_forget(s->ledger, wall() - (int64_t)(24 * 3600 * USEC_PER_SEC));

        if (r < 0)
                log_error_errno(r, "Cannot clear old commands");
}
