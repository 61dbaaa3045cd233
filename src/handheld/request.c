/* SPDX-License-Identifier: Apache-2.0 */
/* A request of a handheld → one use case → its answer. Whatever is refused here is refused before anything is
 * written. */
#include "core/access.h"
#include "handheld/handheld_struct.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>

/* Of those who have shown no certificate, together: a session is a commit or two. Who tries codes is bounded
 * by the lockouts; this is for whoever only connects. */
static const BucketRules strangers_pace = {.burst = 12, .each_usec = 2 * USEC_PER_SEC};

/* --- the answer --- */

static void fill_place(const Handhelds *h, LinkWirePlace *ret, const Placement *p) {
        ret->parcel = p->parcel;
        if (p->slot < 0)
                return;
        ret->position = p->position;
        snprintf(ret->slot, sizeof(ret->slot), "%s", locker_cabinet(h->locker)->slots[p->slot].label);
}

static void fill_answer(const Handhelds *h, LinkVerb verb, LinkWireAnswer *ret, const LockerAnswer *a) {
        const OfflineReceipt *offline = a->receipt.offline;

        fill_place(h, &ret->place, &a->place);
        snprintf(ret->prompt, sizeof(ret->prompt), "%s", a->prompt ? a->prompt : "");
        ret->expires = a->receipt.expires_usec;
        ret->bound = a->receipt.bound;
        if (offline) {
                ret->has_key = 1;
                ret->deposited = offline->deposited_usec;
                memcpy(ret->key, offline->key, sizeof(ret->key));
        }
        ret->has_places = verb == LINK_TAKE_BACK;
        for (size_t i = 0; i < a->n_places && ret->n_places < LINK_PLACES_MAX; i++)
                fill_place(h, &ret->places[ret->n_places++], &a->places[i]);
}

/* Frees the request. a: NULL where there is nothing but a result. */
static void answer(Request *q, int result, const char *detail, const LockerAnswer *a) {
        Connection *c = q->connection;
        LinkWireAnswer w = {
                .number = q->number, .refusal = (uint32_t)refusal_of(result), .place.position = 0};
        LinkVerb verb = q->verb;

        free(q);
        if (result < 0)
                log_error_errno(result, "A request of a handheld failed");
        if (!c)
                return;
        c->request = NULL;
        if (result) {
                const char *why = detail && *detail ? detail : refusal_why(result);
                snprintf(w.sentence, sizeof(w.sentence), "%s", why ? why : "");
        } else if (a) {
                fill_answer(c->handhelds, verb, &w, a);
        }
        link_client_send(c->handhelds->client, LINK_WIRE_ANSWER, c->number, &w, sizeof(w));
        explicit_bzero(&w, sizeof(w));
}

static void answered(void *userdata, const LockerAnswer *a) {
        answer(userdata, a->result, a->detail, a);
}

/* --- who it is --- */

/* The worker has judged the certificate when the connection began; time has gone on. Refusal. */
static int judge_certificate(const Connection *c, LinkVerb verb, char detail[LOCKER_DETAIL_MAX]) {
        Moment now = locker_moment(c->handhelds->locker);
        int64_t known = now.vouched ? now.wall : now.not_before;

        if (c->who.not_after < known || (now.vouched && now.wall < c->who.not_before)) {
                snprintf(detail, LOCKER_DETAIL_MAX,
                         "The certificate is not valid now. Please get a new one.");
                return LOCKER_E_NOT_AUTHENTICATED;
        }
        /* Whether it has expired is not known. Putting something in takes nothing from anybody. */
        if (!now.vouched && verb == LINK_TAKE_BACK) {
                snprintf(detail, LOCKER_DETAIL_MAX,
                         "The cabinet does not know what time it is, and so not whether the certificate is "
                         "still "
                         "valid. Please sign in at the kiosk.");
                return LOCKER_E_NOT_ALLOWED;
        }
        return 0;
}

/* Handhelds leave half of the sessions to others: the street must not keep anybody from the kiosk. */
static bool has_its_share(const Handhelds *h) {
        unsigned n = 0;

        for (const Connection *c = h->connections; c; c = c->next)
                n += c->session != NULL;
        return n >= MAX(1U, h->settings->max_sessions / 2);
}

/* One that nothing is lost with gives way to somebody new. */
static bool make_room(Handhelds *h) {
        Connection *oldest = NULL;

        if (!has_its_share(h))
                return true;
        for (Connection *c = h->connections; c; c = c->next)
                if (c->session && !c->request && session_is_spare(c->session))
                        oldest = c;
        if (oldest)
                locker_end_session(h->locker, oldest->session, "gave way");
        return !has_its_share(h);
}

static bool begins(LinkVerb verb) {
        return verb == LINK_DEPOSIT || verb == LINK_TAKE_BACK || verb == LINK_COLLECT;
}

static int begin_session(Connection *c, char detail[LOCKER_DETAIL_MAX]) {
        Handhelds *h = c->handhelds;
        bool courier = c->who.courier[0];
        char actor[LABEL_MAX + 16];
        Session *s;

        if (!courier && !bucket_take(&h->strangers, &strangers_pace, clock_now().boot_usec)) {
                snprintf(detail, LOCKER_DETAIL_MAX, "Many are connecting now. Please try again in a moment.");
                return LOCKER_E_BUSY;
        }
        if (!make_room(h))
                return LOCKER_E_TOO_MANY_SESSIONS;
        int r = locker_start_session(h->locker, courier ? SESSION_COURIER : SESSION_RECIPIENT,
                                     HANDHELD_TERMINAL, &s);
        if (r)
                return r;
        session_count_apart(s);
        c->session = s;
        if (!courier)
                return 0;
        snprintf(actor, sizeof(actor), "courier:%s", c->who.courier);
        r = locker_vouch_courier(h->locker, s, c->who.courier, actor);
        if (r)
                locker_end_session(h->locker, s, "refused");
        return r;
}

/* --- what it asks for --- */

typedef void (*LaterUse)(Locker *l, Session *s, LockerReply reply, void *userdata);
typedef int (*DirectUse)(Locker *l, Session *s);

static int end_session(Locker *l, Session *s) {
        locker_end_session(l, s, "ended");
        return 0;
}

static const struct {
        Act act;
        bool courier, recipient; /* whose it is */
        LaterUse later;
        DirectUse direct;
} verbs[LINK_VERBS] = {
        [LINK_DEPOSIT] = {ACT_DEPOSIT, true, false, NULL, NULL},
        [LINK_TOO_SMALL] = {ACT_DEPOSIT, true, false, locker_too_small, NULL},
        [LINK_NOT_EMPTY] = {ACT_DEPOSIT, true, false, locker_not_empty, NULL},
        [LINK_DOES_NOT_OPEN] = {ACT_REOPEN, true, true, locker_does_not_open, NULL},
        [LINK_REOPEN] = {ACT_REOPEN, true, true, locker_reopen, NULL},
        [LINK_CANCEL] = {ACT_REOPEN, true, true, NULL, locker_cancel},
        [LINK_COLLECT] = {ACT_COLLECT, false, true, NULL, NULL},
        [LINK_ACCEPT] = {ACT_COLLECT, false, true, NULL, locker_accept},
        [LINK_REJECT] = {ACT_COLLECT, false, true, NULL, locker_reject},
        [LINK_TAKE_BACK] = {ACT_TAKE_BACK, true, false, locker_take_back, NULL},
        [LINK_END] = {ACT_END_SESSION, true, true, NULL, end_session},
};

static const char *given(const char *text) {
        return *text ? text : NULL;
}

static void deposit(Connection *c, const LinkWireRequest *r, Request *q) {
        DepositRequest d = {.size = given(r->size),
                            .recipient = given(r->recipient),
                            .phone = given(r->phone),
                            .waybill = given(r->waybill),
                            .parcel = r->parcel,
                            .accessible = r->accessible,
                            .allow_larger = !r->exact,
                            .offline = true,
                            .temperature = TEMPERATURE_AMBIENT};

        if ((!d.size && !d.parcel) ||
            (r->temperature[0] && temperature_from_string(r->temperature, &d.temperature) < 0))
                answer(q, LOCKER_E_INVALID_ARGUMENT, NULL, NULL);
        else
                locker_deposit(c->handhelds->locker, c->session, &d, answered, q);
}

/* The code was right: now its door. */
static void authenticated(void *userdata, const LockerAnswer *a) {
        Request *q = userdata;
        Connection *c = q->connection;

        if (a->result || !c || !c->session)
                answer(q, a->result ? a->result : LOCKER_E_SESSION_ENDED, a->detail, NULL);
        else
                locker_collect(c->handhelds->locker, c->session, 0, answered, q);
}

static void collect(Connection *c, const LinkWireRequest *r, Request *q) {
        Evidence e = {.kind = CREDENTIAL_NONE,
                      .code = {.code = given(r->code),
                               .slot = given(r->slot),
                               .phone_tail = given(r->phone_tail),
                               .cabinet = given(r->cabinet)}};

        if (r->code[0])
                locker_authenticate(c->handhelds->locker, c->session, &e, authenticated, q);
        else
                locker_collect(c->handhelds->locker, c->session, 0, answered, q);
}

static int judge(Connection *c, LinkVerb verb, char detail[LOCKER_DETAIL_MAX]) {
        bool courier = c->who.courier[0];
        int r = (int)access_of_caller(verbs[verb].act, CALLER_HANDHELD);

        if (!r && !(courier ? verbs[verb].courier : verbs[verb].recipient))
                r = courier || verb == LINK_END ? LOCKER_E_NOT_ALLOWED : LOCKER_E_NOT_AUTHENTICATED;
        if (!r && courier)
                r = judge_certificate(c, verb, detail);
        if (!r && !c->session)
                r = begins(verb) ? begin_session(c, detail) : LOCKER_E_WRONG_STATE;
        return r;
}

void request_take(Connection *c, const LinkWireRequest *r) {
        LinkVerb verb = (LinkVerb)r->verb;
        Locker *l = c->handhelds->locker;
        char detail[LOCKER_DETAIL_MAX] = "";
        Request *q = calloc(1, sizeof(*q));

        if (!q) {
                connection_close(c);
                return;
        }
        *q = (Request){.connection = c, .number = r->number, .verb = verb};
        c->request = q;
        int k = judge(c, verb, detail);
        if (k)
                answer(q, k, detail, NULL);
        else if (verb == LINK_DEPOSIT)
                deposit(c, r, q);
        else if (verb == LINK_COLLECT)
                collect(c, r, q);
        else if (verbs[verb].later)
                verbs[verb].later(l, c->session, answered, q);
        else
                answer(q, verbs[verb].direct(l, c->session), NULL, NULL);
}
