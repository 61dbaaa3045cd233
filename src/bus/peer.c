/* SPDX-License-Identifier: Apache-2.0 */
/* Identifies callers. The bus is asked asynchronously, once a connection: calls that arrive meanwhile
 * are queued and executed in order. The result is valid until the connection leaves the bus: the kernel
 * recorded these credentials when the connection was made, they do not change later. */
#include "bus/peer.h"
#include "bus/authorise.h"
#include "bus/bus_struct.h"
#include "bus/cleanup.h"
#include "bus/names.h"
#include "bus/node.h"
#include "bus/readers.h"
#include "bus/reply.h"
#include "bus/session.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#define WAITING_MAX 64 /* calls of one connection; far more than a program sends within one round trip */
#define GROUPS_MAX  1024

static Peer *peer_find(Bus *b, const char *name) {
        for (Peer *p = b->peers; p; p = p->next)
                if (streq(p->name, name))
                        return p;
        return NULL;
}

static void peer_free(Peer *p) {
        Peer **at = &p->bus->peers;

        while (*at && *at != p)
                at = &(*at)->next;
        if (*at)
                *at = p->next;
        while (p->waiting) {
                Waiting *w = p->waiting;
                p->waiting = w->next;
                sd_bus_message_unref(w->message);
                free(w);
        }
        sd_bus_slot_unref(p->lookup);
        free(p->actor);
        free(p->terminal);
        free(p->name);
        free(p);
}

void peers_free(Bus *b) {
        while (b->peers)
                peer_free(b->peers);
}

/* The account's entry, or NULL. A name service may block here; that is accepted, because it happens
 * once a connection and only for operators and for buses that do not report groups, and a cabinet's
 * accounts are local files. */
static struct passwd *account_of(uid_t uid, struct passwd *buffer, char **ret_room) {
        struct passwd *found = NULL;
        size_t size = 4096;
        int r;

        *ret_room = NULL;
        do {
                free(*ret_room);
                *ret_room = malloc(size);
                if (!*ret_room)
                        return NULL;
                r = getpwuid_r(uid, buffer, *ret_room, size, &found);
                size *= 2;
        } while (r == ERANGE && size <= 1024 * 1024);
        return found;
}

const char *peer_actor(Peer *p) {
        struct passwd buffer, *account;
        _cleanup_free_ char *room = NULL;

        if (p->actor)
                return p->actor;
        account = account_of(p->uid, &buffer, &room);
        p->actor = account ? text_printf("operator:%s", account->pw_name)
                           : text_printf("operator:%lu", (unsigned long)p->uid);
        return p->actor;
}

const char *peer_terminal(Peer *p) {
        struct passwd buffer, *account;
        _cleanup_free_ char *room = NULL;

        if (p->terminal)
                return p->terminal;
        account = account_of(p->uid, &buffer, &room);
        p->terminal = account ? text_printf("%.*s", LABEL_MAX - 1, account->pw_name)
                              : text_printf("%lu", (unsigned long)p->uid);
        return p->terminal;
}

/* For buses that do not report UnixGroupIDs (dbus-daemon before 1.13, or a kernel before 4.13). */
static unsigned groups_by_account(const Bus *b, uid_t uid) {
        struct passwd buffer, *account;
        _cleanup_free_ char *room = NULL;
        gid_t gids[GROUPS_MAX];
        int n = GROUPS_MAX;

        account = account_of(uid, &buffer, &room);
        if (!account)
                return bus_groups_of(b, uid, NULL, 0);
        /* More groups than this: the rest is ignored, which gives too few rights rather than too many.
         */
        if (getgrouplist(account->pw_name, account->pw_gid, gids, &n) < 0)
                n = GROUPS_MAX;
        return bus_groups_of(b, uid, gids, (size_t)n);
}

/* Reads the a{sv} of GetConnectionCredentials. */
static int credentials_read(Peer *p, sd_bus_message *reply) {
        uint32_t uid = UINT32_MAX;
        gid_t gids[GROUPS_MAX];
        size_t n_gids = 0;
        bool has_groups = false;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r > 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read_basic(reply, 's', &key);
                if (r < 0)
                        return r;
                if (streq(key, "UnixUserID")) {
                        r = sd_bus_message_read(reply, "v", "u", &uid);
                } else if (streq(key, "UnixGroupIDs")) {
                        const void *data;
                        size_t size;

                        r = sd_bus_message_enter_container(reply, 'v', "au");
                        if (r < 0)
                                return r;
                        r = sd_bus_message_read_array(reply, 'u', &data, &size);
                        if (r < 0)
                                return r;
                        n_gids = MIN(size / sizeof(uint32_t), (size_t)GROUPS_MAX);
                        for (size_t i = 0; i < n_gids; i++)
                                gids[i] = ((const uint32_t *)data)[i];
                        has_groups = true;
                        r = sd_bus_message_exit_container(reply);
                } else {
                        r = sd_bus_message_skip(reply, "v");
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r < 0)
                return r;
        if (uid == UINT32_MAX)
                return -ENODATA;
        p->uid = uid;
        p->groups = has_groups ? bus_groups_of(p->bus, uid, gids, n_gids) : groups_by_account(p->bus, uid);
        p->known = true;
        return 0;
}

static void dispatch_waiting(Peer *p) {
        while (p->waiting) {
                Waiting *w = p->waiting;
                _cleanup_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
                const Permission *permission = permission_find(sd_bus_message_get_interface(w->message),
                                                               sd_bus_message_get_member(w->message));

                p->waiting = w->next;
                p->n_waiting--;
                if (permission && bus_dispatch_known(p, w->message, permission, &e) < 0)
                        (void)sd_bus_reply_method_error(w->message, &e);
                sd_bus_message_unref(w->message);
                free(w);
        }
}

static int credentials_told(sd_bus_message *reply, void *userdata, sd_bus_error *ignored) {
        Peer *p = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        int r;

        p->lookup = sd_bus_slot_unref(p->lookup);
        if (error) {
                /* Disconnected before the lookup was complete: no reply is possible. */
                if (sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
                        peer_free(p);
                        return 0;
                }
                log_warning("The bus does not report the credentials of %s: %s", p->name, error->message);
                r = -EIO;
        } else {
                r = credentials_read(p, reply);
                if (r < 0)
                        log_error_errno(r, "Cannot read the credentials of %s", p->name);
        }
        if (r < 0) {
                for (Waiting *w = p->waiting; w; w = w->next)
                        (void)sd_bus_reply_method_errorf(w->message, BUS_ERROR_PREFIX "AccessDenied",
                                                         "The bus did not identify the caller.");
                peer_free(p); /* the next call asks again */
                return 0;
        }
        dispatch_waiting(p);
        return 0;
}

static int peer_new(Bus *b, const char *name, Peer **ret) {
        Peer *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->bus = b;
        p->next = b->peers;
        b->peers = p;
        p->name = strdup(name);
        r = p->name ? sd_bus_call_method_async(b->bus, &p->lookup, "org.freedesktop.DBus",
                                               "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                               "GetConnectionCredentials", credentials_told, p, "s", name)
                    : -ENOMEM;
        if (r < 0) {
                peer_free(p);
                return r;
        }
        *ret = p;
        return 0;
}

static int peer_wait(Peer *p, sd_bus_message *m, sd_bus_error *e) {
        Waiting **at = &p->waiting;
        Waiting *w;

        if (p->n_waiting >= WAITING_MAX)
                return sd_bus_error_set(e, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many calls at once.");
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->message = sd_bus_message_ref(m);
        while (*at)
                at = &(*at)->next;
        *at = w;
        p->n_waiting++;
        return 1;
}

int bus_dispatch(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Bus *b = ((Node *)userdata)->bus;
        const Permission *p = permission_find(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
        const char *sender = sd_bus_message_get_sender(m);
        Peer *peer;
        int r;

        if (!p || !sender)
                return sd_bus_error_set(e, BUS_ERROR_PREFIX "AccessDenied", "This method may not be called.");
        if (p->secret)
                (void)sd_bus_message_sensitive(m); /* erased when freed */
        peer = peer_find(b, sender);
        if (!peer) {
                r = peer_new(b, sender, &peer);
                if (r < 0)
                        return bus_failure(e, m, r, NULL);
        }
        if (!peer->known)
                return peer_wait(peer, m, e);
        return bus_dispatch_known(peer, m, p, e);
}

/* The terminal has disconnected (crashed, was restarted): its sessions end, as when a person walks
 * away. A session may continue inside the locker until its door is closed; it has no owner then. */
static void peer_gone(Bus *b, const char *name) {
        bool again;

        do {
                again = false;
                for (SessionNode *n = b->sessions; n; n = n->next)
                        if (n->owner && streq(n->owner, name)) {
                                free(steal_ptr(n->owner));
                                /* May free the node and others: start over. */
                                locker_end_session(b->locker, n->session, "terminal gone");
                                again = true;
                                break;
                        }
        } while (again);
}

static int name_left(sd_bus_message *m, void *userdata, sd_bus_error *ignored) {
        Bus *b = userdata;
        const char *name, *before, *after;
        Peer *p;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || name[0] != ':' || after[0] != '\0')
                return 0;
        peer_gone(b, name);
        (void)calls_cancel_enrolments(b, name);
        reader_gone(b, name);
        p = peer_find(b, name);
        if (p)
                peer_free(p);
        return 0;
}

/* One match rule for all disconnections (arg2: the new owner, empty), because the bus limits the number
 * of rules. It is added before the first caller is looked up, so that no disconnection is missed. */
int peers_watch(Bus *b) {
        return sd_bus_add_match(b->bus, NULL,
                                "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                                "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
                                name_left, b);
}
