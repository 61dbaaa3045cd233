/* SPDX-License-Identifier: Apache-2.0 */
/* Session objects: one person at the terminal. Only the connection that started a session may use it;
 * its prompts are sent to that connection only, because they are private. */
#include "bus/session.h"
#include "bus/args.h"
#include "bus/bus_struct.h"
#include "bus/handler.h"
#include "bus/names.h"
#include "bus/parcel.h"
#include "bus/peer.h"
#include "bus/reply.h"
#include "core/code.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int session_node_new(Bus *b, Session *s, const char *owner, SessionNode **ret) {
        SessionNode *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        *n = (SessionNode){.node.bus = b, .session = s, .owner = strdup(owner)};
        if (!n->owner) {
                free(n);
                return -ENOMEM;
        }
        (void)snprintf(n->path, sizeof(n->path), BUS_SESSION_ROOT "/%" PRIu64, session_id(s));
        n->next = b->sessions;
        b->sessions = n;
        *ret = n;
        return 0;
}

SessionNode *session_node_of(Bus *b, const Session *s) {
        for (SessionNode *n = b->sessions; n; n = n->next)
                if (n->session == s)
                        return n;
        return NULL;
}

void session_node_free(SessionNode *n) {
        SessionNode **at = &n->node.bus->sessions;

        while (*at && *at != n)
                at = &(*at)->next;
        if (*at)
                *at = n->next;
        free(n->owner);
        free(n);
}

static SessionNode *node_at(Bus *b, const char *path) {
        for (SessionNode *n = b->sessions; n; n = n->next)
                if (streq(n->path, path))
                        return n;
        return NULL;
}

int session_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                 sd_bus_error *e) {
        SessionNode *n = node_at(userdata, path);

        if (!n)
                return 0;
        *ret = n;
        return 1;
}

int session_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e) {
        Bus *b = userdata;
        size_t count = 0, i = 0;
        char **paths;

        for (const SessionNode *n = b->sessions; n; n = n->next)
                count++;
        paths = calloc(count + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;
        for (const SessionNode *n = b->sessions; n; n = n->next, i++) {
                paths[i] = strdup(n->path);
                if (!paths[i]) {
                        while (i-- > 0)
                                free(paths[i]);
                        free(paths);
                        return -ENOMEM;
                }
        }
        *ret = paths;
        return 1;
}

/* --- Properties ------------------------------------------------------------------------------------- */

static const char *label_of(const Bus *b, int slot) {
        return slot < 0 ? "" : b->cabinet->slots[slot].label;
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SessionNode *n = userdata;
        return sd_bus_message_append(m, "s", session_state_to_string(session_state(n->session)));
}

static int get_kind(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SessionNode *n = userdata;
        return sd_bus_message_append(m, "s", session_kind_to_string(session_kind(n->session)));
}

static int get_slot(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SessionNode *n = userdata;
        return sd_bus_message_append(m, "s", label_of(n->node.bus, session_place(n->session).slot));
}

static int get_position(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SessionNode *n = userdata;
        Placement place = session_place(n->session);
        return sd_bus_message_append(m, "u", place.slot < 0 ? 0 : place.position);
}

static int get_parcel(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SessionNode *n = userdata;
        Placement place = session_place(n->session);
        char parcel[BUS_PATH_MAX] = "/";

        if (place.parcel != 0)
                parcel_path(place.parcel, parcel);
        return sd_bus_message_append(m, "o", parcel);
}

static int get_parcels(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SessionNode *n = userdata;
        _cleanup_free_ uint64_t *ids = NULL;
        size_t count = 0;
        int r;

        r = session_parcels(n->node.bus->locker, n->session, &ids, &count);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "o");
        for (size_t i = 0; r >= 0 && i < count; i++) {
                char parcel[BUS_PATH_MAX];

                parcel_path(ids[i], parcel);
                r = sd_bus_message_append(m, "o", parcel);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* --- Methods ---------------------------------------------------------------------------------------- */

int session_of(Bus *b, Peer *peer, sd_bus_message *m, Session **ret, sd_bus_error *e) {
        SessionNode *n = node_at(b, sd_bus_message_get_path(m));

        if (!n)
                return bus_failure(e, m, LOCKER_E_SESSION_ENDED, NULL);
        if (!n->owner || !streq(n->owner, peer->name))
                return bus_failure(
                        e, m, LOCKER_E_ACCESS_DENIED,
                        "This session belongs to another program; only who started it may use it.");
        *ret = n->session;
        return 0;
}

/* What is asked for by a kind of credential: itself, and one of its claims. What a reader of the cabinet
 * takes nobody may bring along. */
static int read_credential(sd_bus_message *m, CredentialKind k, bool courier, Evidence *ret,
                           sd_bus_error *e) {
        const ArgKey own = {credential_info(k)->name, 's', true, offsetof(Evidence, data)};
        const ArgKey of_courier[] = {own, {"number", 's', true, offsetof(Evidence, claim.number)}};
        const ArgKey of_recipient[] = {own,
                                       {"phone", 's', false, offsetof(Evidence, claim.phone)},
                                       {"phone_tail", 's', false, offsetof(Evidence, claim.phone_tail)},
                                       {"parcel", 't', false, offsetof(Evidence, claim.parcel)},
                                       {"waybill", 's', false, offsetof(Evidence, claim.waybill)}};
        const ArgKey *keys = courier ? of_courier : of_recipient;
        size_t n_keys = courier ? ARRAY_SIZE(of_courier) : ARRAY_SIZE(of_recipient);
        bool reader = credential_has_reader(k);
        int r = args_read_dictionary(m, keys + reader, n_keys - reader, ret, e);

        if (r >= 0 && !reader)
                ret->n_data = strlen(ret->data);
        return r;
}

static int unknown_evidence(sd_bus_error *e) {
        char known[256];
        int n = snprintf(known, sizeof(known), "\"code\"");

        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX && (size_t)n < sizeof(known); k++)
                n += snprintf(known + n, sizeof(known) - (size_t)n, "%s\"%s\"",
                              k + 1 < CREDENTIAL_KINDS_MAX ? ", " : " or ", credential_info(k)->evidence);
        return args_invalid(e, "\"kind\" must be %s.", known);
}

int session_authenticate(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        static const ArgKey code[] = {{"code", 's', true, offsetof(Evidence, code.code)},
                                      {"slot", 's', false, offsetof(Evidence, code.slot)},
                                      {"phone_tail", 's', false, offsetof(Evidence, code.phone_tail)}};
        const char *word;
        Session *s;
        Call *call;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r >= 0)
                r = sd_bus_message_read(m, "s", &word);
        if (r < 0)
                return r;
        Evidence evidence = {.kind = credential_kind_of_evidence(word)};
        bool courier = session_kind(s) == SESSION_COURIER;
        /* Of another kind of session: its own claim is what the sentence asks for. */
        if (evidence.kind != CREDENTIAL_NONE && !credential_may_be_of(evidence.kind, courier))
                courier = !courier;
        if (evidence.kind != CREDENTIAL_NONE)
                r = read_credential(m, evidence.kind, courier, &evidence, e);
        else if (streq(word, "code"))
                r = args_read_dictionary(m, code, ARRAY_SIZE(code), &evidence, e);
        else
                return unknown_evidence(e);
        if (r >= 0)
                r = call_new(b, m, NULL, false, &call);
        if (r < 0)
                return r;
        locker_authenticate(b->locker, s, &evidence, call_answer, call);
        return 1;
}

static int append_credentials(sd_bus_message *m, unsigned kinds) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "credentials");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = args_append_kinds(m, kinds);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_receipt(Bus *b, const LockerAnswer *a, sd_bus_message *m) {
        const Cabinet *c = b->cabinet;
        const Receipt *t = &a->receipt;
        const char *label = label_of(b, a->place.slot);
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "cabinet", "s", c->number, "name", "s", c->name,
                                          "address", "s", c->address);
        if (r >= 0 && c->latitude == c->latitude && c->longitude == c->longitude) /* not NaN */
                r = sd_bus_message_append(m, "{sv}{sv}", "latitude", "d", c->latitude, "longitude", "d",
                                          c->longitude);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "slot", "s", label, "position", "u",
                                          a->place.position, "parcel", "t", a->place.parcel);
        if (r >= 0 && t->code)
                r = sd_bus_message_append(m, "{sv}", "code", "s", t->code);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "code_alphabet", "s",
                                          code_alphabet_to_string(b->settings->code_alphabet), "expires", "x",
                                          t->expires_usec, "prompt", "s", a->prompt ? a->prompt : "");
        if (r >= 0)
                r = append_credentials(m, t->bound);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_deposit(Bus *b, const LockerAnswer *a, sd_bus_message *m) {
        char parcel[BUS_PATH_MAX];
        int r;

        parcel_path(a->place.parcel, parcel);
        r = sd_bus_message_append(m, "suo", label_of(b, a->place.slot), a->place.position, parcel);
        return r < 0 ? r : append_receipt(b, a, m);
}

typedef struct DepositArguments {
        DepositRequest request;
        const char *temperature;
} DepositArguments;

int session_deposit(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        static const ArgKey keys[] = {
                {"size", 's', false, offsetof(DepositArguments, request.size)},
                {"recipient", 's', false, offsetof(DepositArguments, request.recipient)},
                {"phone", 's', false, offsetof(DepositArguments, request.phone)},
                {"waybill", 's', false, offsetof(DepositArguments, request.waybill)},
                {"parcel", 't', false, offsetof(DepositArguments, request.parcel)},
                {"accessible", 'b', false, offsetof(DepositArguments, request.accessible)},
                {"temperature", 's', false, offsetof(DepositArguments, temperature)},
                {"larger", 'b', false, offsetof(DepositArguments, request.allow_larger)},
        };
        DepositArguments a = {.request.allow_larger = true, .request.temperature = TEMPERATURE_AMBIENT};
        Session *s;
        Call *call;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r >= 0)
                r = args_read_dictionary(m, keys, ARRAY_SIZE(keys), &a, e);
        if (r < 0)
                return r;
        if (!a.request.size && a.request.parcel == 0)
                return args_invalid(e, "\"size\" is missing: it is needed unless \"parcel\" is given.");
        if (a.request.parcel > INT64_MAX)
                return bus_failure(e, m, LOCKER_E_UNKNOWN_PARCEL, NULL);
        if (a.temperature && temperature_from_string(a.temperature, &a.request.temperature) < 0)
                return args_invalid(e, "\"temperature\" must be \"ambient\", \"chilled\" or \"frozen\".");
        r = call_new(b, m, append_deposit, true, &call);
        if (r < 0)
                return r;
        locker_deposit(b->locker, s, &a.request, call_answer, call);
        return 1;
}

static int append_place(Bus *b, const LockerAnswer *a, sd_bus_message *m) {
        return sd_bus_message_append(m, "su", label_of(b, a->place.slot), a->place.position);
}

static int append_place_prompt(Bus *b, const LockerAnswer *a, sd_bus_message *m) {
        return sd_bus_message_append(m, "sus", label_of(b, a->place.slot), a->place.position,
                                     a->prompt ? a->prompt : "");
}

static int append_places(Bus *b, const LockerAnswer *a, sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "(osu)");
        for (size_t i = 0; r >= 0 && i < a->n_places; i++) {
                char parcel[BUS_PATH_MAX];

                parcel_path(a->places[i].parcel, parcel);
                r = sd_bus_message_append(m, "(osu)", parcel, label_of(b, a->places[i].slot),
                                          a->places[i].position);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

typedef void (*LaterUse)(Locker *l, Session *s, LockerReply reply, void *userdata);
typedef int (*DirectUse)(Locker *l, Session *s);

static int use_later(Bus *b, Peer *peer, sd_bus_message *m, LaterUse use, CallAppend append,
                     sd_bus_error *e) {
        Session *s;
        Call *call;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r >= 0)
                r = call_new(b, m, append, false, &call);
        if (r < 0)
                return r;
        use(b->locker, s, call_answer, call);
        return 1;
}

static int use_direct(Bus *b, Peer *peer, sd_bus_message *m, DirectUse use, sd_bus_error *e) {
        Session *s;
        int r;

        r = session_of(b, peer, m, &s, e);
        return r < 0 ? r : bus_reply_result(m, use(b->locker, s), e);
}

HANDLER(session_too_small) {
        return use_later(b, peer, m, locker_too_small, append_place, e);
}

HANDLER(session_not_empty) {
        return use_later(b, peer, m, locker_not_empty, append_place, e);
}

HANDLER(session_does_not_open) {
        return use_later(b, peer, m, locker_does_not_open, append_place, e);
}

HANDLER(session_reopen) {
        return use_later(b, peer, m, locker_reopen, append_place, e);
}

HANDLER(session_take_back) {
        return use_later(b, peer, m, locker_take_back, append_places, e);
}

HANDLER(session_accept) {
        return use_direct(b, peer, m, locker_accept, e);
}

HANDLER(session_reject) {
        return use_direct(b, peer, m, locker_reject, e);
}

HANDLER(session_lift_lockout) {
        char detail[LOCKER_DETAIL_MAX];
        Session *s;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r < 0)
                return r;
        r = locker_lift_terminal_lockout(b->locker, s, detail);
        return r > 0 ? bus_failure(e, m, r, detail) : bus_reply_result(m, r, e);
}

HANDLER(session_cancel) {
        return use_direct(b, peer, m, locker_cancel, e);
}

int session_collect(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        const char *path;
        uint64_t parcel = 0; /* the first */
        Session *s;
        Call *call;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r >= 0)
                r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return r;
        if (!streq(path, "/") && parcel_from_path(path, &parcel) < 0)
                return args_invalid(e, "\"parcel\" must be \"/\" or a path like " BUS_PARCEL_ROOT "/17.");
        r = call_new(b, m, append_place_prompt, false, &call);
        if (r < 0)
                return r;
        locker_collect(b->locker, s, parcel, call_answer, call);
        return 1;
}

int session_end(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        Session *s;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r < 0)
                return r;
        locker_end_session(b->locker, s, "ended");
        return sd_bus_reply_method_return(m, NULL);
}

#define NOTHING SD_BUS_NO_ARGS
#define PLACE   SD_BUS_RESULT("s", slot, "u", position)

const sd_bus_vtable session_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Authenticate", SD_BUS_ARGS("s", kind, "a{sv}", evidence), SD_BUS_NO_RESULT,
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Deposit", SD_BUS_ARGS("a{sv}", request),
                                SD_BUS_RESULT("s", slot, "u", position, "o", parcel, "a{sv}", receipt),
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("TooSmall", NOTHING, PLACE, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("NotEmpty", NOTHING, PLACE, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("DoesNotOpen", NOTHING, PLACE, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Reopen", NOTHING, PLACE, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Collect", SD_BUS_ARGS("o", parcel),
                                SD_BUS_RESULT("s", slot, "u", position, "s", prompt), bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Accept", NOTHING, SD_BUS_NO_RESULT, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Reject", NOTHING, SD_BUS_NO_RESULT, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("TakeBack", NOTHING, SD_BUS_RESULT("a(osu)", parcels), bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("LiftLockout", NOTHING, SD_BUS_NO_RESULT, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("EnrolCredential", SD_BUS_ARGS("s", kind, "a{sv}", credential),
                                SD_BUS_RESULT("a{sv}", result), bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("RevokeCredential", SD_BUS_ARGS("s", kind), SD_BUS_NO_RESULT, bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("ListCredentials", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sxxxssss)", credentials),
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Cancel", NOTHING, SD_BUS_NO_RESULT, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("End", NOTHING, SD_BUS_NO_RESULT, bus_dispatch, BUS_FLAGS),
        SD_BUS_SIGNAL_WITH_ARGS("Prompt", SD_BUS_ARGS("s", slot, "u", position, "s", what, "s", sentence), 0),
        SD_BUS_PROPERTY("State", "s", get_state, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Kind", "s", get_kind, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Slot", "s", get_slot, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Position", "u", get_position, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Parcel", "o", get_parcel, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Parcels", "ao", get_parcels, 0, BUS_CHANGES),
        SD_BUS_VTABLE_END,
};
