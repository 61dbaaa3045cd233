/* SPDX-License-Identifier: Apache-2.0 */
/* The connection, the name and the tree of objects. */
#include "bus/bus.h"
#include "bus/audit.h"
#include "bus/authorise.h"
#include "bus/backup.h"
#include "bus/bus_struct.h"
#include "bus/cabinet.h"
#include "bus/changes.h"
#include "bus/names.h"
#include "bus/parcel.h"
#include "bus/peer.h"
#include "bus/readers.h"
#include "bus/reply.h"
#include "bus/session.h"
#include "bus/slot.h"
#include "base/log.h"

#include <errno.h>

Bus *bus_free(Bus *b) {
        if (!b)
                return NULL;
        locker_remove_listener(b->locker, b);
        audit_job_free(b);
        backup_job_free(b);
        calls_abandon(b);
        peers_free(b);
        readers_free(b);
        while (b->sessions)
                session_node_free(b->sessions);
        changes_done(b);
        parcel_row_done(&b->parcel.row);
        /* Flushes pending replies. */
        sd_bus_flush_close_unref(b->bus);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}

/* The connection cannot be re-established under exported objects, and every client has lost its
 * session. The state of the doors is in the ledger: exit, restart by systemd and reconciliation with
 * the sensors are the tested recovery. */
static int disconnected(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Bus *b = userdata;

        log_error("The connection to the D-Bus system bus is lost; exiting, to be restarted.");
        (void)sd_event_exit(b->event, EXIT_FAILURE);
        return 0;
}

static int name_lost(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Bus *b = userdata;
        const char *name;

        if (sd_bus_message_read(m, "s", &name) < 0 || !streq(name, BUS_NAME))
                return 0;
        log_error("The D-Bus name " BUS_NAME " was taken away; leaving.");
        (void)sd_event_exit(b->event, EXIT_FAILURE);
        return 0;
}

static int watch_connection(Bus *b) {
        int r;

        r = sd_bus_match_signal(b->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                "org.freedesktop.DBus.Local", "Disconnected", disconnected, b);
        if (r >= 0)
                r = sd_bus_match_signal(b->bus, NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "NameLost", name_lost, b);
        if (r >= 0)
                r = readers_watch(b);
        return r < 0 ? r : peers_watch(b);
}

static int export(Bus *b) {
        static const struct {
                const char *root, *interface;
                const sd_bus_vtable *vtable;
                sd_bus_object_find_t find;
                sd_bus_node_enumerator_t enumerate;
        } kinds[] = {
                {BUS_SLOT_ROOT, BUS_SLOT, slot_vtable, slot_find, slot_enumerate},
                {BUS_PARCEL_ROOT, BUS_PARCEL, parcel_vtable, parcel_find, parcel_enumerate},
                {BUS_SESSION_ROOT, BUS_SESSION, session_vtable, session_find, session_enumerate},
        };
        int r;

        r = sd_bus_add_object_manager(b->bus, NULL, BUS_ROOT);
        if (r >= 0)
                r = sd_bus_add_object_vtable(b->bus, NULL, BUS_ROOT, BUS_CABINET, cabinet_vtable, &b->root);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(kinds); i++) {
                r = sd_bus_add_fallback_vtable(b->bus, NULL, kinds[i].root, kinds[i].interface,
                                               kinds[i].vtable, kinds[i].find, b);
                if (r >= 0)
                        r = sd_bus_add_node_enumerator(b->bus, NULL, kinds[i].root, kinds[i].enumerate, b);
        }
        return r;
}

static int take_name(Bus *b) {
        int r = sd_bus_request_name(b->bus, BUS_NAME, 0);

        if (r >= 0)
                return 0;
        if (r == -EEXIST || r == -EALREADY) {
                log_error("The D-Bus name " BUS_NAME " is taken: is another lockerd running?");
                return -EEXIST;
        }
        if (r == -EACCES || r == -EPERM) {
                log_error("The bus does not permit this user to own the name " BUS_NAME ": "
                          "run as user lockerd, with org.lockerd.Locker1.conf in the bus's system.d "
                          "directory.");
                return -EACCES;
        }
        return log_error_errno(r, "Cannot take the D-Bus name " BUS_NAME);
}

static int connect_and_export(Bus *b) {
        int r;

        r = sd_bus_open_system_with_description(&b->bus, "lockerd");
        if (r < 0)
                return log_error_errno(r, "Cannot connect to the D-Bus system bus");
        r = sd_bus_attach_event(b->bus, b->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = watch_connection(b);
        if (r >= 0)
                r = export(b);
        if (r < 0)
                return log_error_errno(r, "Cannot export the cabinet's objects on D-Bus");
        return take_name(b);
}

int bus_new(Bus **ret, sd_event *event, Locker *locker, const Settings *settings) {
        _cleanup_(bus_freep) Bus *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return log_error_errno(-ENOMEM, "Cannot export the cabinet on D-Bus");
        *b = (Bus){
                .root.bus = b,
                .event = sd_event_ref(event),
                .locker = locker,
                .ledger = locker_ledger(locker),
                .cabinet = locker_cabinet(locker),
                .settings = settings,
                .kiosk_gid = (gid_t)-1,
                .admin_gid = (gid_t)-1,
        };
        r = bus_groups_resolve(b);
        if (r >= 0)
                r = changes_init(b);
        if (r < 0)
                return log_error_errno(r, "Cannot export the cabinet on D-Bus");
        r = connect_and_export(b);
        if (r < 0)
                return r;
        r = locker_add_listener(locker, &bus_listener, b);
        if (r < 0)
                return r;
        *ret = steal_ptr(b);
        return 0;
}
