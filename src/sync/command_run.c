/* SPDX-License-Identifier: Apache-2.0 */
/* What each command of the backend does: arguments → one use case → answer. Arguments have been checked
 * against their table before. Those of a person's errand are in command_errand.c. */
#include "sync/command_run.h"
#include "message/neighbours.h"
#include "sync/command_answer.h"
#include "sync/command_errand.h"
#include "sync/drain.h"
#include "sync/freshness.h"
#include "sync/running.h"
#include "sync/sync_struct.h"
#include "core/code.h"
#include "message/arguments.h"
#include "message/rfc3339.h"

#include <errno.h>
#include <stdio.h>

typedef struct CommandKind {
        const char *name;
        void (*run)(Running *r, const json_t *a);
} CommandKind;

static void answer(Running *r, int result) {
        command_answer(r, result, NULL, NULL);
}

/* Sets the mark for the transaction of the use case that follows. */
static Locker *begin(Running *r) {
        locker_set_command(r->sync->locker, &r->row);
        return r->sync->locker;
}

static int end(Running *r, int result) {
        locker_set_command(r->sync->locker, NULL);
        return result;
}

int command_deposit_request(const json_t *a, DepositRequest *q) {
        const char *temperature = argument_text(a, "temperature");

        *q = (DepositRequest){.size = argument_text(a, "size"),
                              .recipient = argument_text(a, "recipient"),
                              .phone = argument_text(a, "phone"),
                              .waybill = argument_text(a, "waybill"),
                              .parcel = argument_number(a, "parcel", 0),
                              .accessible = argument_boolean(a, "accessible", false),
                              .allow_larger = argument_boolean(a, "larger", true)};
        return temperature ? temperature_from_string(temperature, &q->temperature) : 0;
}

static void run_announce(Running *r, const json_t *a) {
        DepositRequest q;
        uint64_t parcel = 0;
        int e = command_deposit_request(a, &q);

        if (e < 0)
                e = LOCKER_E_INVALID_ARGUMENT;
        else
                e = end(r, locker_announce(begin(r), &q, argument_boolean(a, "reserve", false), r->actor,
                                           &parcel));
        command_answer(r, e, NULL, e ? NULL : json_pack("{s:I}", "parcel", (json_int_t)parcel));
}

static void run_release(Running *r, const json_t *a) {
        answer(r, end(r, locker_release(begin(r), argument_number(a, "parcel", 0), r->actor,
                                        argument_text(a, "reason"))));
}

static void run_recall(Running *r, const json_t *a) {
        answer(r, end(r, locker_recall(begin(r), argument_number(a, "parcel", 0), r->actor,
                                       argument_text(a, "reason"))));
}

static void run_revoke_code(Running *r, const json_t *a) {
        answer(r, end(r, locker_revoke_code(begin(r), argument_number(a, "parcel", 0), r->actor,
                                            argument_text(a, "reason"))));
}

static void run_new_code(Running *r, const json_t *a) {
        char code[CODE_LENGTH + 1];
        int e = end(r, locker_new_code(begin(r), argument_number(a, "parcel", 0), r->actor,
                                       argument_text(a, "reason"), code));

        command_answer(r, e, NULL,
                       e ? NULL
                         : json_pack("{s:I, s:s}", "parcel", (json_int_t)argument_number(a, "parcel", 0),
                                     "code", code));
        explicit_bzero(code, sizeof(code));
}

static void run_service(Running *r, const json_t *a) {
        Sync *s = r->sync;
        int slot = cabinet_find_slot(locker_cabinet(s->locker), argument_text(a, "slot"));
        bool in_service = streq(r->command.name, "enable");

        answer(r, slot < 0 ? LOCKER_E_UNKNOWN_SLOT
                           : end(r, locker_set_service(begin(r), slot,
                                                       (unsigned)argument_number(a, "position", 0),
                                                       in_service, r->actor, argument_text(a, "reason"))));
}

static void opened(void *userdata, const LockerAnswer *a) {
        command_answer(userdata, a->result, a->detail, NULL);
}

static void run_open(Running *r, const json_t *a) {
        int slot = cabinet_find_slot(locker_cabinet(r->sync->locker), argument_text(a, "slot"));
        Locker *l = r->sync->locker;

        if (slot < 0) {
                answer(r, LOCKER_E_UNKNOWN_SLOT);
                return;
        }
        locker_open_slot(begin(r), slot, (unsigned)argument_number(a, "position", 0), r->actor,
                         argument_text(a, "reason"), opened, r);
        locker_set_command(l, NULL);
}

static void enrolled(void *userdata, const LockerAnswer *a) {
        command_answer(userdata, a->result, a->detail,
                       a->result ? NULL : json_pack("{s:I}", "person", (json_int_t)a->person));
}

static ConsentGiven consent_of(const json_t *a) {
        return (ConsentGiven){.given = argument_boolean(a, "consent", false),
                              .text = argument_text(a, "consent_text"),
                              .version = argument_text(a, "consent_version"),
                              .place = "backend"};
}

static void run_enrol(Running *r, const json_t *a) {
        Locker *l = r->sync->locker;
        Enrolment e = {.kind = argument_text(a, "kind"),
                       .number = argument_text(a, "number"),
                       .name = argument_text(a, "name"),
                       .phone = argument_text(a, "phone"),
                       .consent = consent_of(a)};

        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                e.secrets[k] = argument_text(a, credential_kind_to_string(k));
        locker_enrol(begin(r), &e, r->actor, enrolled, r);
        locker_set_command(l, NULL);
}

static void run_revoke(Running *r, const json_t *a) {
        answer(r, end(r, locker_revoke(begin(r), argument_number(a, "person", 0), r->actor,
                                       argument_text(a, "reason"))));
}

static void run_enrol_credential(Running *r, const json_t *a) {
        Locker *l = r->sync->locker;
        CredentialEnrolment e = {.person = argument_number(a, "person", 0), .consent = consent_of(a)};

        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                if (argument_text(a, credential_kind_to_string(k))) {
                        e.kind = k;
                        e.secret = argument_text(a, credential_kind_to_string(k));
                }
        locker_enrol_credential(begin(r), &e, r->actor, opened, r);
        locker_set_command(l, NULL);
}

static void run_revoke_credential(Running *r, const json_t *a) {
        const char *kind = argument_text(a, "kind");

        answer(r, end(r, locker_revoke_credential(begin(r), argument_number(a, "person", 0),
                                                  credential_kind_from_string(kind, strlen(kind)), r->actor,
                                                  argument_text(a, "reason"))));
}

static json_t *moment(int64_t wall_usec) {
        char text[RFC3339_MAX];

        rfc3339_format(wall_usec, text);
        return json_string(text);
}

static int list_credential(void *userdata, const CredentialRow *c) {
        const bool consented = c->consent.text != NULL;
        json_t *row = json_pack("{s:s, s:o, s:o*}", "kind", c->kind, "enrolled", moment(c->enrolled), "used",
                                c->used ? moment(c->used) : NULL);

        if (row && consented)
                json_object_set_new(row, "consent",
                                    json_pack("{s:o, s:s, s:s, s:s, s:s}", "given", moment(c->given), "text",
                                              c->consent.text, "version", c->consent.version, "place",
                                              c->consent.place, "witness", c->consent.witness));
        return row ? json_array_append_new(userdata, row) : -ENOMEM;
}

static void run_list_credentials(Running *r, const json_t *a) {
        json_t *list = json_array();
        int e = list ? locker_each_credential(r->sync->locker, argument_number(a, "person", 0),
                                              list_credential, list)
                     : -ENOMEM;

        command_answer(r, e, NULL, e ? NULL : json_pack("{s:O}", "credentials", list));
        json_decref(list);
}

static void run_lift_lockout(Running *r, const json_t *a) {
        answer(r, end(r, locker_lift_lockout(begin(r), argument_text(a, "subject"), r->actor,
                                             argument_text(a, "reason"))));
}

static void run_set_thresholds(Running *r, const json_t *a) {
        int64_t reminder = json_object_get(a, "reminder") ? (int64_t)argument_number(a, "reminder", 0) : -1;
        int64_t recall = json_object_get(a, "recall") ? (int64_t)argument_number(a, "recall", 0) : -1;

        answer(r, end(r, locker_set_thresholds(begin(r), reminder, recall, r->actor)));
}

/* --- questions --- */

static void run_snapshot(Running *r, const json_t *a) {
        const char *nonce;

        r->sync->state_dirty = true;
        r->sync->state_at = 0;
        sync_wake(r->sync);
        int e = freshness_nonce(&r->sync->freshness, clock_now().boot_usec, &nonce);
        command_answer(r, e, NULL, e < 0 ? NULL : json_pack("{s:s}", "nonce", nonce));
}

static void run_replay(Running *r, const json_t *a) {
        Drain *d = &r->sync->drain;
        uint64_t last = 0, from = argument_number(a, "from", 0), asked = argument_number(a, "to", UINT64_MAX),
                 to = asked;
        bool again = drain_replays(r->sync) && d->replay_from == from && d->replay_asked == asked;
        int e = drain_replays(r->sync) && !again ? LOCKER_E_BUSY : sync_last_event(r->sync, &last);

        /* What is still in the outbox comes by itself. */
        to = again ? d->replay_to : MIN(to, MIN(last, d->acknowledged));
        if (!e && !again && from <= to) {
                drain_replay(r->sync, from, to);
                d->replay_from = from;
                d->replay_asked = asked;
        }
        command_answer(r, e, NULL,
                       e ? NULL
                         : json_pack("{s:I, s:I, s:I}", "from", (json_int_t)from, "to", (json_int_t)to,
                                     "last", (json_int_t)last));
}

static int recommend(Running *r, const json_t *a, json_t **ret) {
        Locker *l = r->sync->locker;
        const Cabinet *c = locker_cabinet(l);
        const char *temperature = argument_text(a, "temperature");
        int size = cabinet_find_size(c, argument_text(a, "size"));
        NearestRequest request = {.accessible = argument_boolean(a, "accessible", false),
                                  .latitude = argument_degrees(a, "latitude"),
                                  .longitude = argument_degrees(a, "longitude")};
        NearbyCabinet own = {
                .number = c->number, .latitude = c->latitude, .longitude = c->longitude, .fresh = true};
        _cleanup_free_ FreeKind *kinds = NULL;

        if (size < 0)
                return LOCKER_E_UNKNOWN_SIZE;
        request.min_ordinal = c->sizes[size].ordinal;
        if (temperature && temperature_from_string(temperature, &request.temperature) < 0)
                return LOCKER_E_INVALID_ARGUMENT;
        int e = locker_free_kinds(l, &kinds, &own.n_kinds);
        own.kinds = kinds;
        return e < 0 ? e : neighbours_recommend(r->sync->neighbours, &own, &request, ret);
}

static void run_recommend(Running *r, const json_t *a) {
        json_t *result = NULL;
        int e = recommend(r, a, &result);

        command_answer(r, e, NULL, result);
}

static const CommandKind kinds[] = {
        {"announce", run_announce},
        {"release", run_release},
        {"recall", run_recall},
        {"revoke-code", run_revoke_code},
        {"new-code", run_new_code},
        {"open", run_open},
        {"deposit", command_deposit},
        {"collect", command_collect},
        {"take-back", command_take_back},
        {"accept", command_session},
        {"reject", command_session},
        {"cancel", command_session},
        {"reopen", command_session},
        {"too-small", command_session},
        {"not-empty", command_session},
        {"does-not-open", command_session},
        {"end", command_session},
        {"disable", run_service},
        {"enable", run_service},
        {"enrol", run_enrol},
        {"revoke", run_revoke},
        {"set-thresholds", run_set_thresholds},
        {"recommend", run_recommend},
        {"snapshot", run_snapshot},
        {"replay", run_replay},
        {"lift-lockout", run_lift_lockout},
        {"enrol-credential", run_enrol_credential},
        {"revoke-credential", run_revoke_credential},
        {"list-credentials", run_list_credentials},
};

/* Whether it is known was asked before: both tables have the same names. */
static const CommandKind *find(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (streq(kinds[i].name, name))
                        return &kinds[i];
        return NULL;
}

void command_run(Running *r) {
        find(r->row.name)->run(r, r->command.arguments);
}
