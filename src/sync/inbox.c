/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the backend: stored, executed, answered (design rule 8); stored at the latest in the
 * transaction that makes it happen. A repeat gets the stored answer, an expired one is refused, and one that
 * a restart interrupted is not tried again but answered as what it is: unknown. An answer that the ledger
 * does not take (a full disk) is kept in memory and tried again. */
#include "sync/private.h"

#include <errno.h>
#include <stdio.h>

#define SAVE_EVERY_USEC (5 * USEC_PER_SEC)
#define UNSAVED_MAX     256 /* answers that the ledger did not take: of a cabinet with a full disk */

static int64_t wall(void) {
        return clock_now().wall_usec;
}

static void unlink_running(Running *r) {
        for (Running **p = &r->sync->running; *p; p = &(*p)->next)
                if (*p == r) {
                        *p = r->next;
                        break;
                }
}

static void running_free(Running *r) {
        if (r->sync) {
                locker_unset_command(r->sync->locker, &r->row);
                unlink_running(r);
        }
        command_done(&r->command);
        text_erase_free(r->row.command);
        free(r->row.response_topic);
        free(r->row.correlation);
        text_erase_free(r->answer);
        free(r);
}

static Running *find(const Sync *s, const char *id) {
        for (Running *r = s->running; r; r = r->next)
                if (streq(r->row.id, id))
                        return r;
        return NULL;
}

static void send_answer(Sync *s, const char *response_topic, const char *correlation, const char *answer) {
        char topic[TOPIC_MAX];

        snprintf(topic, sizeof(topic), "lockerd/v1/%s/reply", s->cabinet);
        int r = mqtt_client_publish(s->client, TOKEN_NOBODY,
                                    response_topic && *response_topic ? response_topic : topic, answer,
                                    strlen(answer), false, CODEC_JSON_TYPE, correlation);
        /* Lost answers are asked for again, with the same id. */
        if (r < 0 && r != -ENOTCONN && r != -EAGAIN)
                log_error_errno(r, "Cannot answer a command of the backend");
}

/* For messages that never become a command: nothing is stored, everything is answered. */
static void refuse(Sync *s, const MqttMessage *m, const char *id, const char *name, Refusal refusal,
                   const char *detail) {
        _cleanup_erase_ char *answer = NULL;

        log_notice("A command (%s) of the backend is refused: %s", name,
                   detail && *detail ? detail : refusal_sentence(refusal));
        if (codec_answer(id, name, refusal, detail, NULL, &answer) >= 0)
                send_answer(s, m->response_topic, m->correlation, answer);
}

static Refusal refusal_of(int result) {
        return result == -ENOSPC ? LOCKER_E_STORAGE_FULL : result < 0 ? LOCKER_E_INTERNAL : (Refusal)result;
}

/* --- answers, and what becomes of those that the ledger does not take --- */

/* True: whoever repeats the command is answered from the ledger from now on. */
static bool save(Running *r) {
        int e = ledger_inbox_answer(r->sync->ledger, &r->row, r->answer);

        if (e < 0 && e != -EEXIST && !r->complained)
                log_error_errno(e, "Cannot store the answer to command %s (%s); trying again", r->row.id,
                                r->row.name);
        r->complained = true;
        return e >= 0 || e == -EEXIST;
}

/* The answers that wait longest are the ones given up: what is in the ledger of their commands says at the
 * next repeat that they were begun. */
static void bound_unsaved(Sync *s) {
        Running *oldest = NULL;
        size_t n = 0;

        for (Running *r = s->running; r; r = r->next)
                if (r->answer) {
                        oldest = r; /* the list begins with the newest */
                        n++;
                }
        if (n > UNSAVED_MAX)
                running_free(oldest);
}

void inbox_save(Sync *s) {
        Running *next;

        s->save_at = USEC_INFINITY;
        for (Running *r = s->running; r; r = next) {
                next = r->next;
                if (!r->answer)
                        continue;
                if (save(r))
                        running_free(r);
                else
                        s->save_at = clock_now().boot_usec + SAVE_EVERY_USEC;
        }
}

static void save_later(Running *r) {
        Sync *s = r->sync;

        s->save_at = MIN(s->save_at, clock_now().boot_usec + SAVE_EVERY_USEC);
        bound_unsaved(s);
        sync_wake(s);
}

void inbox_answer(Running *r, int result, const char *detail, json_t *object) {
        Sync *s = r->sync;
        Refusal refusal = refusal_of(result);

        if (!s) { /* the daemon is leaving; the next start says what became of it */
                json_erase(object);
                running_free(r);
                return;
        }
        locker_unset_command(s->locker, &r->row);
        if (result < 0)
                log_error_errno(result, "A command (%s) of the backend failed", r->row.name);
        int e = codec_answer(r->row.id, r->row.name, refusal, detail, object, &r->answer);
        if (e < 0) {
                log_error_errno(e, "Cannot make the answer to command %s (%s)", r->row.id, r->row.name);
                running_free(r);
                return;
        }
        bool saved = save(r);
        send_answer(s, r->row.response_topic, r->row.correlation, r->answer);
        if (saved)
                running_free(r);
        else
                save_later(r);
}

void inbox_done(Sync *s) {
        Running *next;

        for (Running *r = s->running; r; r = next) {
                next = r->next;
                if (r->answer || r->waiting) {
                        if (r->answer)
                                (void)save(r);
                        running_free(r);
                } else {
                        r->sync = NULL; /* inbox_answer() is still to come, from the locker's end */
                }
        }
        s->running = NULL;
}

/* --- execution --- */

static void judge_and_run(Running *r) {
        Act act;

        if (r->row.expires <= wall()) {
                inbox_answer(r, LOCKER_E_EXPIRED, NULL, NULL);
                return;
        }
        if (command_act(r->row.name, &act) < 0) {
                inbox_answer(r, LOCKER_E_UNKNOWN_COMMAND, NULL, NULL);
                return;
        }
        if (access_of_caller(act, r->callers)) {
                inbox_answer(
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
        r = find(s, id);
        if (!r || r->answer || r->row.begun || r->stored)
                return;
        int e = ledger_inbox_store(s->ledger, &r->row);
        if (e < 0)
                log_error_errno(e, "Cannot store command %s (%s) before it is carried out", id, r->row.name);
        else
                r->stored = true;
}

/* The command as it is kept: enough to go on after a restart, and to know a repeat. */
static char *pack(const Command *c) {
        json_t *o = json_pack("{s:O, s:b, s:s}", "arguments", c->arguments, "signed", c->is_signed, "key",
                              c->key);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        return text;
}

static int unpack(const InboxRow *row, Command *ret) {
        json_t *o = row->command ? json_loads(row->command, 0, NULL) : NULL,
               *arguments = json_object_get(o, "arguments");
        const char *key = json_string_value(json_object_get(o, "key"));
        Command c = {.expires_usec = row->expires,
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
static Running *running_new(Sync *s, Command *command, const char *response_topic, const char *correlation) {
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
        *command = (Command){0};
        snprintf(r->row.id, sizeof(r->row.id), "%s", r->command.id);
        snprintf(r->row.name, sizeof(r->row.name), "%s", r->command.name);
        snprintf(r->actor, sizeof(r->actor), "backend%s%.30s", r->command.is_signed ? ":" : "",
                 r->command.key);
        s->running = r;
        return r;
}

/* --- repeats --- */

/* The expiry may be another one, and the key: whoever asks again some time later signs anew. */
static bool is_same(const InboxRow *row, const Command *c) {
        Command stored = {0};
        bool same = streq(row->name, c->name) && unpack(row, &stored) >= 0 &&
                    stored.is_signed == c->is_signed && json_equal(stored.arguments, c->arguments);

        command_done(&stored);
        return same;
}

static Running *running_of_row(Sync *s, const InboxRow *row, const char *response_topic,
                               const char *correlation) {
        Command c = {0};
        int e = unpack(row, &c);
        Running *r = e < 0 ? NULL : running_new(s, &c, response_topic, correlation);

        command_done(&c);
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
                inbox_answer(r, LOCKER_E_OUTCOME_UNKNOWN,
                             "A restart interrupted this command; look at the events for what it did.", NULL);
        else
                execute(r);
}

static void repeat_running(Sync *s, Running *r, const MqttMessage *m) {
        if (r->answer) {
                send_answer(s, m->response_topic, m->correlation, r->answer);
                inbox_save(s);
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
                send_answer(s, m->response_topic, m->correlation, row->answer);
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
static bool repeated(Sync *s, const MqttMessage *m, const Command *c) {
        Running *running = find(s, c->id);
        InboxRow row = {0};

        if (!running) {
                int r = ledger_inbox_get(s->ledger, c->id, &row);
                if (r == -ENOENT)
                        return false;
                if (r < 0) {
                        log_error_errno(r, "Cannot look whether command %s was here before", c->id);
                        refuse(s, m, c->id, c->name, refusal_of(r), NULL);
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

static void take(Sync *s, Command *c, const MqttMessage *m) {
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
        refuse(s, m, r->row.id, r->row.name, refusal_of(e), NULL);
        running_free(r);
}

void inbox_message(Sync *s, const MqttMessage *m) {
        const char *name = command_name(s, m->topic);
        char detail[SYNC_DETAIL_MAX] = "";
        Command c = {0};

        if (!name)
                return;
        if (m->too_large) {
                refuse(s, m, "", name, LOCKER_E_INVALID_ARGUMENT,
                       "The command is too large; 64 KiB are allowed.");
                return;
        }
        int r = codec_command(s->cabinet, name, m->payload, m->n_payload, s->ring, &c, detail);
        if (r)
                refuse(s, m, c.id, name, refusal_of(r), detail);
        else if (!repeated(s, m, &c))
                take(s, &c, m);
        command_done(&c);
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
                Running *running = find(s, row->id);
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
