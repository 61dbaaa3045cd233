/* SPDX-License-Identifier: Apache-2.0 */
/* Errands over MQTT (A5): `deposit`, `collect` and `take-back` begin a session and return its number; the
 * other commands name it, as a program at the terminal does by the session's object on the bus. A session
 * ends with `end`, or by itself when nothing is left to reopen or after the idle timeout. Prompts are events.
 */
#include "sync/command_errand.h"
#include "base/log.h"
#include "sync/command_answer.h"
#include "sync/command_run.h"
#include "sync/running.h"
#include "sync/sync_struct.h"
#include "message/arguments.h"

#include <errno.h>

#define TERMINAL "backend" /* of its sessions, in the ledger */

static json_t *placed(const Sync *s, const Placement *place) {
        if (place->slot < 0)
                return json_pack("{s:I}", "parcel", (json_int_t)place->parcel);
        return json_pack("{s:I, s:s, s:i}", "parcel", (json_int_t)place->parcel, "slot",
                         locker_cabinet(s->locker)->slots[place->slot].label, "position",
                         (int)place->position);
}

/* --- commands that begin a session --- */

typedef struct Acting {
        Running *running;
        uint64_t session;
} Acting;

static json_t *places(const Sync *s, const LockerAnswer *a) {
        json_t *array = json_array();

        for (size_t i = 0; i < a->n_places; i++)
                if (json_array_append_new(array, placed(s, &a->places[i])) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

/* Steals result. */
static json_t *with_session(json_t *result, uint64_t session, const LockerAnswer *a) {
        bool failed =
                !result || json_object_set_new(result, "session", json_integer((json_int_t)session)) ||
                json_object_set_new(result, "prompt", json_string(a->prompt)) ||
                (a->receipt.code && json_object_set_new(result, "code", json_string(a->receipt.code))) ||
                (a->receipt.expires_usec &&
                 json_object_set_new(result, "expires", json_integer((json_int_t)a->receipt.expires_usec)));

        if (!failed)
                return result;
        json_erase(result);
        return NULL;
}

static void begun(Acting *acting, const LockerAnswer *a, json_t *result) {
        Running *r = acting->running;
        Sync *s = r->sync;
        uint64_t session = acting->session;
        int e = a->result;

        free(acting);
        if (!e && s) {
                result = with_session(result, session, a);
                e = result ? 0 : -ENOMEM;
        }
        /* Nobody will have its number. */
        Session *refused = e && s ? locker_session(s->locker, session) : NULL;
        if (refused)
                locker_end_session(s->locker, refused, "refused");
        command_answer(r, e, a->detail, result);
}

static void acted(void *userdata, const LockerAnswer *a) {
        Acting *acting = userdata;
        Sync *s = acting->running->sync;

        begun(acting, a, a->result || !s ? NULL : placed(s, &a->place));
}

static void taking_back(void *userdata, const LockerAnswer *a) {
        Acting *acting = userdata;
        Sync *s = acting->running->sync;

        begun(acting, a, a->result || !s ? NULL : json_pack("{s:o}", "parcels", places(s, a)));
}

static Session *start(Running *r, SessionKind kind, Acting **ret_acting) {
        Session *session = NULL;
        Acting *acting = calloc(1, sizeof(*acting));
        int e = acting ? locker_start_session(r->sync->locker, kind, TERMINAL, &session) : -ENOMEM;

        if (e) {
                free(acting);
                command_answer(r, e, NULL, NULL);
                return NULL;
        }
        session_end_with_errand(session);
        *acting = (Acting){.running = r, .session = session_id(session)};
        *ret_acting = acting;
        return session;
}

static void give_up(Running *r, Session *session, Acting *acting, int result) {
        locker_end_session(r->sync->locker, session, "refused");
        free(acting);
        command_answer(r, result, NULL, NULL);
}

/* For the courier whom the command names. `invalid`: so are its other arguments. NULL when it is answered. */
static Session *start_courier(Running *r, const json_t *a, bool invalid, Acting **ret_acting) {
        Session *session = start(r, SESSION_COURIER, ret_acting);

        if (!session)
                return NULL;
        int e = invalid ? LOCKER_E_INVALID_ARGUMENT
                        : locker_vouch_courier(r->sync->locker, session, argument_text(a, "courier"),
                                               r->actor);
        if (e) {
                give_up(r, session, *ret_acting, e);
                return NULL;
        }
        return session;
}

void command_deposit(Running *r, const json_t *a) {
        Locker *l = r->sync->locker;
        DepositRequest q;
        Acting *acting;
        Session *session = start_courier(r, a, command_deposit_request(a, &q) < 0, &acting);

        if (!session)
                return;
        locker_set_command(l, &r->row);
        locker_deposit(l, session, &q, acted, acting);
        locker_set_command(l, NULL);
}

void command_collect(Running *r, const json_t *a) {
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
        locker_set_command(l, &r->row);
        locker_collect(l, session, argument_number(a, "parcel", 0), acted, acting);
        locker_set_command(l, NULL);
}

void command_take_back(Running *r, const json_t *a) {
        Locker *l = r->sync->locker;
        Acting *acting;
        Session *session = start_courier(r, a, false, &acting);

        if (!session)
                return;
        locker_set_command(l, &r->row);
        locker_take_back(l, session, taking_back, acting);
        locker_set_command(l, NULL);
}

/* --- commands that name a session --- */

static int end_session(Locker *l, Session *s) {
        locker_end_session(l, s, "ended");
        return 0;
}

static const struct {
        const char *name;
        int (*direct)(Locker *l, Session *s);
        void (*later)(Locker *l, Session *s, LockerReply reply, void *userdata);
} verbs[] = {
        {"accept", locker_accept, NULL},       {"reject", locker_reject, NULL},
        {"cancel", locker_cancel, NULL},       {"end", end_session, NULL},
        {"reopen", NULL, locker_reopen},       {"too-small", NULL, locker_too_small},
        {"not-empty", NULL, locker_not_empty}, {"does-not-open", NULL, locker_does_not_open},
};

/* "backend:<key>"; an unsigned command, where UnsignedOpen= allows one, is "backend". */
static bool is_signed(const char *actor) {
        return strchr(actor, ':');
}

/* NULL for a session of another terminal, one that has ended and one that never existed alike. A session that
 * a signed command has begun takes no unsigned commands; any key of the ring will do. */
static Session *own_session(const Running *r, uint64_t id) {
        Session *session = locker_session(r->sync->locker, id);

        if (!session || !streq(session_terminal(session), TERMINAL) ||
            (is_signed(session_actor(session)) && !r->command.is_signed))
                return NULL;
        return session;
}

static void opened_again(void *userdata, const LockerAnswer *a) {
        Running *r = userdata;

        command_answer(r, a->result, a->detail, a->result || !r->sync ? NULL : placed(r->sync, &a->place));
}

void command_session(Running *r, const json_t *a) {
        Session *session = own_session(r, argument_number(a, "session", 0));
        Locker *l = r->sync->locker;
        size_t i = 0;

        while (!streq(verbs[i].name, r->command.name))
                i++;
        if (!session) {
                command_answer(r, LOCKER_E_SESSION_ENDED, NULL, NULL);
                return;
        }
        locker_set_command(l, &r->row);
        if (verbs[i].later) {
                verbs[i].later(l, session, opened_again, r);
                locker_set_command(l, NULL);
                return;
        }
        int e = verbs[i].direct(l, session);
        locker_set_command(l, NULL);
        command_answer(r, e, NULL, NULL);
}

/* --- prompts --- */

void command_prompt(Sync *s, const Session *session, int slot, unsigned position, const char *what,
                    const char *sentence) {
        if (!streq(session_terminal(session), TERMINAL))
                return;
        int e = locker_record_prompt(s->locker, session, slot, position, what, sentence);
        if (e < 0)
                log_error_errno(e, "Cannot record the prompt \"%s\" of session %llu", what,
                                (unsigned long long)session_id(session));
}
