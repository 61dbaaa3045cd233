/* SPDX-License-Identifier: Apache-2.0 */
/* The cabinet's object: identity, health, sessions, events and history. Persons and lockouts: people.c;
 * long operations: audit.c and backup.c. */
#include "bus/cabinet.h"
#include "bus/args.h"
#include "bus/bus_struct.h"
#include "bus/cleanup.h"
#include "bus/handler.h"
#include "bus/node.h"
#include "bus/parcel.h"
#include "bus/peer.h"
#include "bus/reply.h"
#include "bus/session.h"
#include "build-config.h"
#include "core/code.h"

#include <errno.h>

#define EVENTS_MAX 1000

static Bus *bus_of(void *userdata) {
        return ((Node *)userdata)->bus;
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "s", LOCKERD_VERSION);
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "s", bus_of(userdata)->cabinet->number);
}

static int get_name(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "s", bus_of(userdata)->cabinet->name);
}

static int get_address(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "s", bus_of(userdata)->cabinet->address);
}

static int get_location(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const Cabinet *c = bus_of(userdata)->cabinet;

        return sd_bus_message_append(m, "(dd)", c->latitude, c->longitude);
}

static int get_sizes(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const Cabinet *c = bus_of(userdata)->cabinet;
        unsigned last = 0;
        int r;

        r = sd_bus_message_open_container(m, 'a', "(susuuu)");
        /* Few and unsorted: pick the next larger ordinal each time. */
        for (int i = 0; r >= 0 && i < c->n_sizes; i++) {
                const Size *next = NULL;

                for (int j = 0; j < c->n_sizes; j++)
                        if (c->sizes[j].ordinal > last && (!next || c->sizes[j].ordinal < next->ordinal))
                                next = &c->sizes[j];
                if (!next)
                        break;
                last = next->ordinal;
                r = sd_bus_message_append(m, "(susuuu)", next->name, next->ordinal, next->label,
                                          next->width_mm, next->height_mm, next->depth_mm);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int get_alphabet(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "s",
                                     code_alphabet_to_string(bus_of(userdata)->settings->code_alphabet));
}

static int get_health(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *m, void *userdata, sd_bus_error *e) {
        _cleanup_free_ Health *health = NULL;
        size_t n = 0;
        int r;

        r = locker_health(bus_of(userdata)->locker, &health, &n);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "(sss)");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "(sss)", health[i].component, health[i].state,
                                          health[i].sentence);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int get_free_positions(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Bus *b = bus_of(userdata);
        _cleanup_free_ unsigned *by_size = calloc((size_t)MAX(b->cabinet->n_sizes, 1), sizeof(*by_size));
        int r;

        if (!by_size)
                return -ENOMEM;
        r = locker_free_positions(b->locker, by_size);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "{su}");
        for (int i = 0; r >= 0 && i < b->cabinet->n_sizes; i++)
                r = sd_bus_message_append(m, "{su}", b->cabinet->sizes[i].name, by_size[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int get_audit_head(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *m, void *userdata, sd_bus_error *e) {
        char head[AUDIT_HEAD_MAX];
        int r = ledger_audit_head(bus_of(userdata)->ledger, head);

        return r < 0 ? r : sd_bus_message_append(m, "s", head);
}

static int get_epoch(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "s", ledger_epoch(bus_of(userdata)->ledger));
}

static int get_outbox_length(sd_bus *bus, const char *path, const char *interface, const char *property,
                             sd_bus_message *m, void *userdata, sd_bus_error *e) {
        uint64_t n;
        int r = ledger_outbox_length(bus_of(userdata)->ledger, &n);

        return r < 0 ? r : sd_bus_message_append(m, "t", n);
}

static int get_last_event(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *m, void *userdata, sd_bus_error *e) {
        char head[AUDIT_HEAD_MAX];
        int r = ledger_audit_head(bus_of(userdata)->ledger, head);

        /* Events and audit rows come in pairs: the head begins with the newest event's number. */
        return r < 0 ? r : sd_bus_message_append(m, "t", (uint64_t)strtoull(head, NULL, 10));
}

/* One terminal that opens session after session must not keep everybody else from theirs. ret_spare: the
 * oldest of its own that can give way, because nothing is lost with it; NULL: none. */
static bool has_its_share(const Bus *b, const Peer *peer, Session **ret_spare) {
        unsigned n = 0;

        *ret_spare = NULL;
        for (const SessionNode *s = b->sessions; s; s = s->next) {
                if (!s->owner || !streq(s->owner, peer->name))
                        continue;
                n++;
                if (session_is_spare(s->session))
                        *ret_spare = s->session; /* the list begins with the newest */
        }
        return n >= MAX(1U, b->settings->max_sessions / 2);
}

int cabinet_start_session(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        SessionKind kind;
        const char *word;
        Session *s, *spare;
        SessionNode *n;
        const char *terminal = peer_terminal(peer);
        int r;

        r = sd_bus_message_read(m, "s", &word);
        if (r < 0)
                return r;
        if (!terminal)
                return -ENOMEM;
        if (streq(word, session_kind_to_string(SESSION_COURIER)))
                kind = SESSION_COURIER;
        else if (streq(word, session_kind_to_string(SESSION_RECIPIENT)))
                kind = SESSION_RECIPIENT;
        else
                return args_invalid(e, "\"kind\" must be \"courier\" or \"recipient\".");
        if (has_its_share(b, peer, &spare)) {
                if (!spare)
                        return bus_failure(e, m, LOCKER_E_TOO_MANY_SESSIONS,
                                           "This program has as many sessions open as one may have, and "
                                           "somebody is at each of them.");
                locker_end_session(b->locker, spare, "gave way");
        }
        r = locker_start_session(b->locker, kind, terminal, &s);
        if (r != 0)
                return bus_failure(e, m, r, NULL);
        r = session_node_new(b, s, peer->name, &n);
        if (r < 0) {
                locker_end_session(b->locker, s, "ended");
                return r;
        }
        /* The object must exist before the reply that names it. */
        r = sd_bus_emit_object_added(b->bus, n->path);
        if (r >= 0)
                r = sd_bus_reply_method_return(m, "o", n->path);
        if (r < 0)
                locker_end_session(b->locker, s, "ended");
        return r;
}

static int append_event(void *userdata, const EventRow *event) {
        int r = sd_bus_message_append(userdata, "(txsssb)", event->sequence, event->wall_usec, event->type,
                                      event->subject, event->data, (int)event->synced);
        return r < 0 ? r : 0;
}

int cabinet_get_events(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        uint64_t after;
        uint32_t limit;
        int r;

        r = sd_bus_message_read(m, "tu", &after, &limit);
        if (r < 0)
                return r;
        if (limit < 1 || limit > EVENTS_MAX)
                return args_invalid(e, "\"limit\" must be from 1 to %u.", EVENTS_MAX);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(txsssb)");
        if (r >= 0)
                /* Sequence numbers are SQLite integers with this maximum; a larger one is after every
                 * event. */
                r = ledger_event_each(b->ledger, MIN(after, (uint64_t)INT64_MAX), limit, append_event, reply);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int cabinet_find_history(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_parcel_ ParcelRow row = {0};
        uint64_t id;
        int r;

        r = sd_bus_message_read(m, "t", &id);
        if (r < 0)
                return r;
        r = id > INT64_MAX ? -ENOENT : ledger_parcel_history(b->ledger, id, &row);
        if (r == -ENOENT)
                return bus_failure(e, m, LOCKER_E_UNKNOWN_PARCEL, NULL);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = parcel_append_facts(b, &row, reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

const sd_bus_vtable cabinet_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("StartSession", SD_BUS_ARGS("s", kind), SD_BUS_RESULT("o", session),
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Enrol", SD_BUS_ARGS("a{sv}", person), SD_BUS_RESULT("t", id), bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Revoke", SD_BUS_ARGS("t", person, "s", reason), SD_BUS_NO_RESULT,
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("EnrolCredential", SD_BUS_ARGS("t", person, "s", kind, "a{sv}", credential),
                                SD_BUS_RESULT("a{sv}", result), bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("CancelEnrolment", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("RevokeCredential", SD_BUS_ARGS("t", person, "s", kind, "s", reason),
                                SD_BUS_NO_RESULT, bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("ListCredentials", SD_BUS_ARGS("t", person),
                                SD_BUS_RESULT("a(sxxxssss)", credentials), bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("ListPeople", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(tssssas)", people),
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("ListEnrolled", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(tssssa(sxxxssss))", people),
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("ListLockouts", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sut)", lockouts),
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("LiftLockout", SD_BUS_ARGS("s", subject, "s", reason), SD_BUS_NO_RESULT,
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("GetEvents", SD_BUS_ARGS("t", after, "u", limit),
                                SD_BUS_RESULT("a(txsssb)", events), bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("VerifyAudit", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("b", ok, "t", rows, "s", head, "s", detail), bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("VerifyAuditSince", SD_BUS_ARGS("s", head),
                                SD_BUS_RESULT("b", ok, "t", rows, "s", last, "s", detail), bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Backup", SD_BUS_ARGS("s", path), SD_BUS_RESULT("t", bytes), bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("FindHistory", SD_BUS_ARGS("t", parcel), SD_BUS_RESULT("a{sv}", facts),
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_SIGNAL_WITH_ARGS(
                "EnrolmentPrompt",
                SD_BUS_ARGS("t", person, "s", kind, "s", what, "u", taken, "u", of, "s", sentence), 0),
        SD_BUS_SIGNAL_WITH_ARGS(
                "Event",
                SD_BUS_ARGS("t", sequence, "x", time, "s", type, "s", subject, "s", data, "b", synchronised),
                0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Number", "s", get_number, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Name", "s", get_name, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Address", "s", get_address, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Location", "(dd)", get_location, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Sizes", "a(susuuu)", get_sizes, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("CodeAlphabet", "s", get_alphabet, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Health", "a(sss)", get_health, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("FreePositions", "a{su}", get_free_positions, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("LastEvent", "t", get_last_event, 0, 0),
        SD_BUS_PROPERTY("Epoch", "s", get_epoch, 0, 0),
        SD_BUS_PROPERTY("AuditHead", "s", get_audit_head, 0, 0),
        SD_BUS_PROPERTY("OutboxLength", "t", get_outbox_length, 0, 0),
        SD_BUS_VTABLE_END,
};
