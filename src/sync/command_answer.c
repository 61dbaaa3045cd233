/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to commands of the backend: sent, and stored for whoever repeats the command. One that the ledger
 * does not take (a full disk) is sent all the same, kept in memory and tried again. */
#include "sync/command_answer.h"
#include "base/log.h"
#include "base/text.h"
#include "ledger/lineage.h"
#include "message/compose.h"
#include "message/jwe.h"
#include "sync/inbox.h"
#include "sync/mqtt_client.h"
#include "sync/publication.h"
#include "sync/running.h"
#include "sync/sync_struct.h"
#include "ledger/inbox.h"

#include <errno.h>
#include <stdio.h>

#define SAVE_EVERY_USEC (5 * USEC_PER_SEC)
#define UNSAVED_MAX     256 /* answers that the ledger did not take: of a cabinet with a full disk */

static void reply_topic(const Sync *s, char ret[TOPIC_MAX]) {
        snprintf(ret, TOPIC_MAX, "lockerd/v1/%s/reply", s->cabinet);
}

/* Not where a command, an event or a state would be taken for another's: whoever chooses the response topic
 * chooses where this cabinet, with its rights at the broker, writes. */
bool answer_topic_is_fine(const Sync *s, const char *response_topic) {
        static const char ours[] = "lockerd/";
        char reply[TOPIC_MAX];

        if (!response_topic || !*response_topic)
                return true;
        reply_topic(s, reply);
        return streq(response_topic, reply) || (!strpbrk(response_topic, "+#") && response_topic[0] != '$' &&
                                                strncmp(response_topic, ours, strlen(ours)) != 0);
}

/* Whoever records a signed command can send it again with a response topic of their own, and would be told
 * the code that the stored answer holds: such answers go where the broker lets only the backend read. */
static bool holds_code(const char *answer) {
        _cleanup_json_ json_t *a = json_loads(answer, 0, NULL);
        const json_t *result = json_object_get(a, "result");

        return json_object_get(result, "code") || json_object_get(result, "sealed");
}

void answer_send(Sync *s, const char *response_topic, const char *correlation, const char *answer) {
        char topic[TOPIC_MAX];
        const char *to = topic;

        reply_topic(s, topic);
        if (!holds_code(answer) && response_topic && *response_topic &&
            answer_topic_is_fine(s, response_topic))
                to = response_topic;
        int r = mqtt_client_publish(s->client, TOKEN_NOBODY, to, answer, strlen(answer), false,
                                    COMPOSE_JSON_TYPE, correlation);
        /* Lost answers are asked for again, with the same id. */
        if (r < 0 && r != -ENOTCONN && r != -EAGAIN)
                log_error_errno(r, "Cannot answer a command of the backend");
}

/* True: whoever repeats the command is answered from the ledger from now on. */
static bool save(Running *r) {
        int e = ledger_inbox_answer(r->sync->ledger, &r->row, r->answer);

        if (e < 0 && e != -EEXIST && !r->complained)
                log_error_errno(e, "Cannot store the answer to command %s (%s); trying again", r->row.id,
                                r->row.name);
        r->complained = true;
        return e >= 0 || e == -EEXIST;
}

/* What was answered is not carried out again: of its arguments, which may be a PIN, is kept what is needed to
 * know a repeat. */
static void keep_digest(Running *r) {
        char *digest = inbox_digest(&r->command);

        if (!digest)
                return; /* no memory: all of it is kept */
        text_erase_free(r->row.command);
        r->row.command = digest;
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

void answers_save(Sync *s) {
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

/* A code is for the backend, not for the broker. Without a key it is left out: the event code.issued waits
 * for one. */
static void seal_code(const Running *r, json_t *result) {
        const Sync *s = r->sync;
        json_t *code = json_object_get(result, "code"), *sealed = NULL;
        _cleanup_erase_ char *plain = NULL;
        int e = -ENOKEY;

        if (!code || !s->settings->mqtt.sealing_key)
                return;
        json_t *o = json_pack("{s:O}", "code", code);
        plain = o ? json_dumps(o, JSON_COMPACT) : NULL;
        json_erase(o);
        if (s->sealing)
                e = plain ? jwe_seal_object(s->sealing, plain, s->cabinet, "command", r->row.id, &sealed)
                          : -ENOMEM;
        if (e >= 0)
                e = json_object_set_new(result, "sealed", sealed) < 0 ? -ENOMEM : 0;
        if (e < 0)
                log_error_errno(e, "The code in the answer to command %s cannot be sealed, and is left out",
                                r->row.id);
        (void)json_object_del(result, "code");
}

void command_answer(Running *r, int result, const char *detail, json_t *object) {
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
        seal_code(r, object);
        int e = compose_answer(ledger_epoch(s->ledger), r->row.id, r->row.name, refusal,
                               detail && *detail ? detail : refusal_why(result), object, &r->answer);
        if (e < 0) {
                log_error_errno(e, "Cannot make the answer to command %s (%s)", r->row.id, r->row.name);
                running_free(r);
                return;
        }
        if (r->kept)
                keep_digest(r);
        bool saved = !r->kept || save(r);
        answer_send(s, r->row.response_topic, r->row.correlation, r->answer);
        if (saved)
                running_free(r);
        else
                save_later(r);
}

void answers_done(Sync *s) {
        Running *next;

        for (Running *r = s->running; r; r = next) {
                next = r->next;
                if (r->answer || r->waiting) {
                        if (r->answer)
                                (void)save(r);
                        running_free(r);
                } else {
                        r->sync = NULL; /* command_answer() is still to come, from the locker's end */
                }
        }
        s->running = NULL;
}
