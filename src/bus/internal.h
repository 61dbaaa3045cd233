/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this folder. One file an object (cabinet, slot, parcel, session), one for the
 * callers (peer), one for the permissions (authorise), one for reading arguments (args), one for
 * answering (answer), one for change signals (changes). */
#pragma once

#include "bus/bus.h"
#include "core/access.h"
#include <inttypes.h>
#include <stdio.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#define BUS_NAME         "org.lockerd.Locker1"
#define BUS_ROOT         "/org/lockerd/Locker1"
#define BUS_SLOT_ROOT    BUS_ROOT "/slot"
#define BUS_PARCEL_ROOT  BUS_ROOT "/parcel"
#define BUS_SESSION_ROOT BUS_ROOT "/session"
#define BUS_CABINET      BUS_NAME ".Cabinet"
#define BUS_SLOT         BUS_NAME ".Slot"
#define BUS_PARCEL       BUS_NAME ".Parcel"
#define BUS_SESSION      BUS_NAME ".Session"
#define BUS_ERROR_PREFIX BUS_NAME ".Error."
#define BUS_PATH_MAX     (sizeof(BUS_SESSION_ROOT) + 24) /* a parcel's or session's path */

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_error_   _cleanup_(sd_bus_error_free)

/* The userdata of getters and handlers: every exported object begins with it. */
typedef struct Node {
        Bus *bus;
} Node;

/* --- Callers (peer.c) and what they may (authorise.c) ----------------------------------------------- */

typedef struct Waiting {
        sd_bus_message *message;
        struct Waiting *next;
} Waiting;

/* A connection that has made a call, until it leaves the bus. */
typedef struct Peer {
        Bus *bus;
        char *name; /* unique name */
        bool known; /* the bus has reported its credentials */
        uid_t uid;
        unsigned groups; /* Caller bits */
        char *actor;     /* "operator:anna"; made when first needed */
        char *terminal;  /* "kiosk", its user; likewise */
        sd_bus_slot *lookup;
        Waiting *waiting; /* calls that wait for the credentials, oldest first */
        unsigned n_waiting;
        struct Peer *next;
} Peer;

/* Returns 0 or more, or negative with (or without) the error set. */
typedef int (*BusHandler)(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e);

typedef struct Permission {
        const char *interface, *member;
        Act act;     /* its act in the table of core/access.c */
        bool secret; /* the call or its reply holds a code, PIN or password */
        BusHandler handler;
} Permission;

const Permission *permission_find(const char *interface,
                                  const char *member); /* NULL: not in the table, refused */
int bus_groups_resolve(Bus *b);
unsigned bus_groups_of(const Bus *b, uid_t uid, const gid_t *gids, size_t n_gids);

/* Every method of every vtable: identifies the caller, checks the table of permissions, calls the
 * handler. */
int bus_dispatch(sd_bus_message *m, void *userdata, sd_bus_error *e);
int bus_dispatch_known(Peer *peer, sd_bus_message *m, const Permission *p, sd_bus_error *e);
int peers_watch(Bus *b);
void peers_free(Bus *b);
const char *peer_actor(Peer *peer); /* NULL: out of memory */
/* Which terminal speaks, for lockouts and the ledger: the user as which the program runs, so that another
 * connection of it is the same terminal. NULL: out of memory. */
const char *peer_terminal(Peer *peer);

/* --- Whether they read (readers.c) -------------------------------------------------------------------- */

typedef struct Reader Reader;

int readers_watch(Bus *b);
void reader_gone(Bus *b, const char *name);
void readers_free(Bus *b);
bool readers_may_signal(Bus *b); /* false: the bus takes nothing, and what is said would only lie here */

/* --- Reading (args.c): InvalidArgument with a sentence that names the argument and what is allowed -------
 */

typedef struct ArgKey {
        const char *name;
        char type; /* 's', 't', 'b' */
        bool required;
        size_t offset; /* of a const char *, uint64_t or bool in the struct to fill */
} ArgKey;

/* Reads a{sv} strictly: unknown, doubled or wrongly typed keys are refused. Strings point into the message.
 */
int args_read_dictionary(sd_bus_message *m, const ArgKey *keys, size_t n_keys, void *ret, sd_bus_error *e);
int args_check_text(const char *name, const char *value, size_t max, sd_bus_error *e);
int args_append_kinds(sd_bus_message *m, unsigned kinds); /* "as": names of a set of kinds of credentials */
int args_check_reason(const char *reason, sd_bus_error *e);
int args_invalid(sd_bus_error *e, const char *format, ...) _printf_(2, 3);

/* --- Answering (answer.c) --------------------------------------------------------------------------- */

/* Maps a result (Refusal, or negative errno, which is logged here) to a D-Bus error; the only such
 * place. detail: NULL or "" for the refusal's own sentence. Returns the negative errno that belongs to
 * the error; never 0. */
int bus_failure(sd_bus_error *e, sd_bus_message *m, int result, const char *detail);
/* Sends it as the reply to m. */
void bus_reply_failure(sd_bus_message *m, int result, const char *detail);
/* For use cases without an answer: an empty reply or the failure. */
int bus_reply_result(sd_bus_message *m, int result, sd_bus_error *e);

/* A call that the locker answers later. */
typedef struct Call {
        Bus *bus; /* NULL: the bus has gone meanwhile */
        sd_bus_message *message;
        int (*append)(Bus *b, const LockerAnswer *a, sd_bus_message *reply); /* NULL: the reply is empty */
        bool secret;
        struct Call *previous, *next;
} Call;
typedef int (*CallAppend)(Bus *b, const LockerAnswer *a, sd_bus_message *reply);

int call_new(Bus *b, sd_bus_message *m, CallAppend append, bool secret, Call **ret);
void call_answer(void *userdata, const LockerAnswer *a); /* a LockerReply; frees the call */
void calls_abandon(Bus *b);

/* --- Objects ---------------------------------------------------------------------------------------- */

typedef struct SessionNode {
        Node node;
        Session *session;
        char *owner; /* unique name; NULL once it has left */
        char path[BUS_PATH_MAX];
        bool dirty;
        struct SessionNode *next;
} SessionNode;

/* The slot or parcel that sd-bus is reading. sd-bus looks an object up and then at once reads its
 * values, so 500 slots need no 500 objects here, and values are always the ledger's. */
typedef struct SlotNode {
        Node node;
        int slot;
} SlotNode;

typedef struct ParcelNode {
        Node node;
        ParcelRow row;
} ParcelNode;

typedef struct IdSet {
        uint64_t *ids; /* rising */
        size_t n, room;
} IdSet;

bool idset_has(const IdSet *s, uint64_t id);
int idset_add(IdSet *s, uint64_t id);
void idset_remove(IdSet *s, uint64_t id);
void idset_done(IdSet *s);

typedef struct AuditJob AuditJob;
typedef struct BackupJob BackupJob;

struct Bus {
        Node root; /* the cabinet's own object */
        sd_event *event;
        sd_bus *bus;
        Locker *locker;
        Ledger *ledger;
        const Cabinet *cabinet;
        const Settings *settings;

        gid_t kiosk_gid, admin_gid; /* (gid_t)-1: there is no such group */
        Peer *peers;
        Call *calls;
        Reader *readers;
        uint64_t unread;                /* bytes that all of them have not shown to have read */
        uint64_t stuck_since, stuck_at; /* boot µs, messages: since when the bus takes nothing */
        SessionNode *sessions;
        SlotNode slot;
        ParcelNode parcel;
        IdSet parcels; /* announced to the bus as an object */

        sd_event_source *flush;
        bool *dirty_slots;
        IdSet dirty_parcels;
        bool dirty_health, dirty_free;
        unsigned *free_positions; /* as last signalled */

        AuditJob *audit;
        BackupJob *backup;
};

extern const sd_bus_vtable cabinet_vtable[], slot_vtable[], parcel_vtable[], session_vtable[];

int slot_path(const Bus *b, int slot, char **ret);
int slot_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
              sd_bus_error *e);
int slot_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e);
void parcel_path(uint64_t id, char ret[BUS_PATH_MAX]);
int parcel_from_path(const char *path, uint64_t *ret); /* -EINVAL */
int parcel_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                sd_bus_error *e);
int parcel_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e);
int parcel_append_facts(Bus *b, const ParcelRow *p, sd_bus_message *m); /* a{sv} */
int session_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                 sd_bus_error *e);
int session_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e);
int session_node_new(Bus *b, Session *s, const char *owner, SessionNode **ret);
SessionNode *session_node_of(Bus *b, const Session *s); /* NULL: not (or no longer) on the bus */
void session_node_free(SessionNode *n);                 /* takes it out of the list */

/* --- Telling changes (changes.c) -------------------------------------------------------------------- */

extern const LockerListener bus_listener; /* userdata: the Bus */
int changes_init(Bus *b);
void changes_done(Bus *b);
void changes_schedule(Bus *b);

/* --- Handlers --------------------------------------------------------------------------------------- */

/* For vtables. Unprivileged: sd-bus lets every caller through; authorise.c decides. */
#define BUS_FLAGS    SD_BUS_VTABLE_UNPRIVILEGED
#define BUS_CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define BUS_CHANGES  SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

#define HANDLER(name) int name(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e)
HANDLER(cabinet_start_session);
HANDLER(cabinet_get_events);
HANDLER(cabinet_find_history);
HANDLER(cabinet_enrol);
HANDLER(cabinet_revoke);
HANDLER(cabinet_enrol_credential);
HANDLER(cabinet_revoke_credential);
HANDLER(cabinet_list_credentials);
HANDLER(cabinet_list_people);
HANDLER(cabinet_list_lockouts);
HANDLER(cabinet_lift_lockout);
HANDLER(audit_verify);
HANDLER(audit_verify_since);
HANDLER(backup_start);
HANDLER(slot_open);
HANDLER(slot_disable);
HANDLER(slot_enable);
HANDLER(slot_reconcile);
HANDLER(parcel_recall);
HANDLER(parcel_new_code);
HANDLER(parcel_release);
HANDLER(session_authenticate);
HANDLER(session_deposit);
HANDLER(session_too_small);
HANDLER(session_not_empty);
HANDLER(session_does_not_open);
HANDLER(session_reopen);
HANDLER(session_collect);
HANDLER(session_accept);
HANDLER(session_reject);
HANDLER(session_take_back);
HANDLER(session_lift_lockout);
HANDLER(session_cancel);
HANDLER(session_end);

void audit_job_free(Bus *b);
void backup_job_free(Bus *b);
