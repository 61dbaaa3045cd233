/* SPDX-License-Identifier: Apache-2.0 */
/* What each command of the backend does: arguments → one use case → answer. Arguments have been checked
 * against their table before. */
#include "sync/private.h"
#include "core/code.h"
#include "message/arguments.h"

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

static int read_request(const json_t *a, DepositRequest *q) {
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

static json_t *placed(const Sync *s, const Placement *place) {
        if (place->slot < 0)
                return json_pack("{s:I}", "parcel", (json_int_t)place->parcel);
        return json_pack("{s:I, s:s, s:i}", "parcel", (json_int_t)place->parcel, "slot",
                         locker_cabinet(s->locker)->slots[place->slot].label, "position",
                         (int)place->position);
}

static void run_announce(Running *r, const json_t *a) {
        DepositRequest q;
        uint64_t parcel = 0;
        int e = read_request(a, &q);

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

static void run_enrol(Running *r, const json_t *a) {
        Locker *l = r->sync->locker;
        Enrolment e = {.kind = argument_text(a, "kind"),
                       .number = argument_text(a, "number"),
                       .name = argument_text(a, "name"),
                       .phone = argument_text(a, "phone"),
                       .consent = argument_boolean(a, "consent", false)};

        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                e.secrets[k] = argument_text(a, credential_kind_to_string(k));
        locker_enrol(begin(r), &e, r->actor, enrolled, r);
        locker_set_command(l, NULL);
}

static void run_revoke(Running *r, const json_t *a) {
        answer(r, end(r, locker_revoke(begin(r), argument_number(a, "person", 0), r->actor,
                                       argument_text(a, "reason"))));
}

/* --- acting for a person: a session of its own, ended as soon as the door is open; what was begun is then
 * settled by the sensors --- */

typedef struct Acting {
        Running *running;
        uint64_t session;
} Acting;

static void acted(void *userdata, const LockerAnswer *a) {
        Acting *acting = userdata;
        Running *r = acting->running;
        Sync *s = r->sync;
        json_t *result = a->result || !s ? NULL : placed(s, &a->place);

        if (result && a->receipt.code)
                json_object_set_new(result, "code", json_string(a->receipt.code));
        if (result && a->receipt.expires_usec)
                json_object_set_new(result, "expires", json_integer((json_int_t)a->receipt.expires_usec));
        command_answer(r, a->result, a->detail, result);
        Session *session = s ? locker_session(s->locker, acting->session) : NULL;
        if (session)
                locker_end_session(s->locker, session, "ended");
        free(acting);
}

static Session *start(Running *r, SessionKind kind, Acting **ret_acting) {
        Session *session = NULL;
        Acting *acting = calloc(1, sizeof(*acting));
        int e = acting ? locker_start_session(r->sync->locker, kind, "backend", &session) : -ENOMEM;

        if (e) {
                free(acting);
                answer(r, e);
                return NULL;
        }
        *acting = (Acting){.running = r, .session = session_id(session)};
        *ret_acting = acting;
        return session;
}

static void give_up(Running *r, Session *session, Acting *acting, int result) {
        locker_end_session(r->sync->locker, session, "refused");
        free(acting);
        answer(r, result);
}

static void run_deposit(Running *r, const json_t *a) {
        Locker *l = r->sync->locker;
        DepositRequest q;
        Acting *acting;
        Session *session = start(r, SESSION_COURIER, &acting);

        if (!session)
                return;
        int e = read_request(a, &q) < 0
                        ? LOCKER_E_INVALID_ARGUMENT
                        : locker_vouch_courier(l, session, argument_text(a, "courier"), r->actor);
        if (e) {
                give_up(r, session, acting, e);
                return;
        }
        locker_deposit(begin(r), session, &q, acted, acting);
        locker_set_command(l, NULL);
}

static void run_collect(Running *r, const json_t *a) {
        Locker *l = r->sync->locker;
        Acting *acting;
        Session *session = start(r, SESSION_RECIPIENT, &acting);

        if (!session)
                return;
        int e = locker_vouch_parcel(l, session, argument_number(a, "parcel", 0), r->actor);
        if (e) {
                give_up(r, session, acting, e);
                return;
        }
        locker_collect(begin(r), session, argument_number(a, "parcel", 0), acted, acting);
        locker_set_command(l, NULL);
}

static void run_set_thresholds(Running *r, const json_t *a) {
        int64_t reminder = json_object_get(a, "reminder") ? (int64_t)argument_number(a, "reminder", 0) : -1;
        int64_t recall = json_object_get(a, "recall") ? (int64_t)argument_number(a, "recall", 0) : -1;

        answer(r, end(r, locker_set_thresholds(begin(r), reminder, recall, r->actor)));
}

/* --- questions --- */

static void run_snapshot(Running *r, const json_t *a) {
        r->sync->state_dirty = true;
        r->sync->state_at = 0;
        sync_wake(r->sync);
        answer(r, 0);
}

static void run_replay(Running *r, const json_t *a) {
        uint64_t last = 0, from = argument_number(a, "from", 0), to = argument_number(a, "to", UINT64_MAX);
        int e = drain_replays(r->sync) ? LOCKER_E_BUSY : sync_last_event(r->sync, &last);

        /* What is still in the outbox comes by itself. */
        to = MIN(to, MIN(last, r->sync->drain.acknowledged));
        if (!e && from <= to)
                drain_replay(r->sync, from, to);
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
        {"deposit", run_deposit},
        {"collect", run_collect},
        {"disable", run_service},
        {"enable", run_service},
        {"enrol", run_enrol},
        {"revoke", run_revoke},
        {"set-thresholds", run_set_thresholds},
        {"recommend", run_recommend},
        {"snapshot", run_snapshot},
        {"replay", run_replay},
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
