/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the backend: stored, executed, answered, in this order (design rule 8). A repeat gets the
 * stored answer, an expired one is refused, and one that a restart interrupted is not tried again but
 * answered as what it is: unknown. */
#include "sync/private.h"

#include <errno.h>
#include <stdio.h>

static void running_free(Running *r) {
        for (Running **p = &r->sync->running; *p; p = &(*p)->next)
                if (*p == r) {
                        *p = r->next;
                        break;
                }
        command_done(&r->command);
        free(r->response_topic);
        free(r->correlation);
        free(r);
}

void inbox_done(Sync *s) {
        while (s->running)
                running_free(s->running);
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

void inbox_answer(Running *r, int result, const char *detail, json_t *object) {
        Sync *s = r->sync;
        _cleanup_erase_ char *answer = NULL;
        Refusal refusal = result < 0 ? (result == -ENOSPC ? LOCKER_E_STORAGE_FULL : LOCKER_E_INTERNAL)
                                     : (Refusal)result;

        if (result < 0)
                log_error_errno(result, "A command (%s) of the backend failed", r->command.name);
        int e = codec_answer(r->command.id, r->command.name, refusal, detail, object, &answer);
        if (e >= 0)
                e = ledger_inbox_answer(s->ledger, r->command.id, answer);
        if (e < 0)
                log_error_errno(e, "Cannot store the answer to a command");
        if (answer)
                send_answer(s, r->response_topic, r->correlation, answer);
        r->answered = true;
        running_free(r);
}

static bool is_running(const Sync *s, const char *id) {
        for (const Running *r = s->running; r; r = r->next)
                if (streq(r->command.id, id))
                        return true;
        return false;
}

static int64_t wall(void) {
        return clock_now().wall_usec;
}

static void execute(Running *r) {
        Act act;

        if (r->command.expires_usec <= wall()) {
                inbox_answer(r, LOCKER_E_EXPIRED, NULL, NULL);
                return;
        }
        if (command_act(r->command.name, &act) < 0) {
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

static Running *running_new(Sync *s, Command *command, const char *response_topic, const char *correlation) {
        Running *r = calloc(1, sizeof(*r));

        if (!r)
                return NULL;
        *r = (Running){.next = s->running,
                       .sync = s,
                       .command = *command,
                       .callers = command->is_signed || s->settings->mqtt.unsigned_open ? CALLER_SIGNED
                                                                                        : CALLER_BACKEND,
                       .response_topic = response_topic && *response_topic ? strdup(response_topic) : NULL,
                       .correlation = correlation && *correlation ? strdup(correlation) : NULL};
        *command = (Command){0};
        snprintf(r->actor, sizeof(r->actor), "backend%s%.30s", r->command.is_signed ? ":" : "",
                 r->command.key);
        s->running = r;
        return r;
}

/* The command as it is kept: enough to go on after a restart. */
static char *pack(const Command *c) {
        json_t *o = json_pack("{s:O, s:b, s:s}", "arguments", c->arguments, "signed", c->is_signed, "key",
                              c->key);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        return text;
}

static int unpack(const InboxRow *row, Command *ret) {
        json_t *o = json_loads(row->command, 0, NULL), *arguments = json_object_get(o, "arguments");
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

/* True: it was here before and is dealt with. */
static bool repeated(Sync *s, const MqttMessage *m, const Command *c) {
        InboxRow row = {0};

        if (is_running(s, c->id))
                return true; /* its answer will come */
        if (ledger_inbox_get(s->ledger, c->id, &row) < 0)
                return false;
        if (!streq(row.name, c->name))
                refuse(s, m, c->id, c->name, LOCKER_E_INVALID_ARGUMENT,
                       "This id was used for another command.");
        else if (row.answer)
                send_answer(s, m->response_topic, m->correlation, row.answer);
        inbox_row_done(&row);
        return true;
}

static int store(Sync *s, const Command *c, const MqttMessage *m) {
        _cleanup_erase_ char *packed = pack(c);
        InboxRow row = {.received = wall(),
                        .expires = c->expires_usec,
                        .command = packed,
                        .response_topic = (char *)(uintptr_t)m->response_topic,
                        .correlation = (char *)(uintptr_t)m->correlation};

        if (!packed)
                return -ENOMEM;
        snprintf(row.id, sizeof(row.id), "%s", c->id);
        snprintf(row.name, sizeof(row.name), "%s", c->name);
        return ledger_inbox_store(s->ledger, &row);
}

static const char *command_name(const Sync *s, const char *topic) {
        char prefix[TOPIC_MAX];
        int n = snprintf(prefix, sizeof(prefix), "lockerd/v1/%s/command/", s->cabinet);

        return n > 0 && !strncmp(topic, prefix, (size_t)n) ? topic + n : NULL;
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
        if (r > 0)
                refuse(s, m, c.id, name, (Refusal)r, detail);
        else if (r == 0 && !repeated(s, m, &c)) {
                r = store(s, &c, m);
                if (r >= 0 && !s->resumed) {
                        command_done(&c);
                        return; /* the boards are still being looked for: it is executed with the other stored
                                   ones */
                }
                Running *running = r < 0 ? NULL : running_new(s, &c, m->response_topic, m->correlation);
                if (running)
                        execute(running);
                else
                        refuse(s, m, c.id, name, r == -ENOSPC ? LOCKER_E_STORAGE_FULL : LOCKER_E_INTERNAL,
                               NULL);
        }
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

static void resume(Sync *s, const InboxRow *row) {
        Command c = {0};
        int r = unpack(row, &c);
        Running *running = r < 0 ? NULL : running_new(s, &c, row->response_topic, row->correlation);

        if (!running)
                log_error_errno(r < 0 ? r : -ENOMEM, "Cannot go on with the stored command %s", row->id);
        else if (row->begun)
                inbox_answer(running, LOCKER_E_OUTCOME_UNKNOWN,
                             "A restart interrupted this command; look at the events for what it did.", NULL);
        else
                execute(running);
        command_done(&c);
}

void inbox_recover(Sync *s) {
        Left left = {0};
        int r = ledger_inbox_each_open(s->ledger, collect_left, &left);

        for (size_t i = 0; i < left.n; i++) {
                if (r >= 0 && !is_running(s, left.rows[i].id))
                        resume(s, &left.rows[i]);
                inbox_row_done(&left.rows[i]);
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
