/* SPDX-License-Identifier: Apache-2.0 */
/* Change signals. The opening of a door is several facts in one iteration of the event loop; they are
 * collected here and signalled once, when no more urgent event is pending. Prompts and events are
 * signalled at once. */
#include "bus/changes.h"
#include "bus/bus_struct.h"
#include "bus/cleanup.h"
#include "bus/id_set.h"
#include "bus/names.h"
#include "bus/parcel.h"
#include "bus/readers.h"
#include "bus/session.h"
#include "bus/slot.h"
#include "base/log.h"

#include <errno.h>

static void log_unsent(int r, const char *what) {
        if (r < 0 && r != -ENOTCONN)
                log_error_errno(r, "Cannot send the change signal of %s", what);
}

static void tell_removed(Bus *b, const char *path, const char *interface) {
        log_unsent(sd_bus_emit_interfaces_removed(b->bus, path, "org.freedesktop.DBus.Peer",
                                                  "org.freedesktop.DBus.Introspectable",
                                                  "org.freedesktop.DBus.Properties", interface, NULL),
                   path);
}

static void tell_parcel(Bus *b, uint64_t id) {
        _cleanup_parcel_ ParcelRow row = {0};
        char path[BUS_PATH_MAX];
        bool known = idset_has(&b->parcels, id);
        int r;

        parcel_path(id, path);
        r = ledger_parcel_get(b->ledger, id, &row);
        if (r == -ENOENT) {
                if (known)
                        tell_removed(b, path, BUS_PARCEL);
                idset_remove(&b->parcels, id);
                return;
        }
        if (r >= 0 && known) {
                r = sd_bus_emit_properties_changed(b->bus, path, BUS_PARCEL, "State", "Slot", "Position",
                                                   "Size", "Waybill", "Courier", "Recipient", "Phone",
                                                   "Stored", "Expires", "Expired", NULL);
        } else if (r >= 0) {
                r = idset_add(&b->parcels, id);
                if (r >= 0)
                        r = sd_bus_emit_object_added(b->bus, path);
        }
        log_unsent(r, path);
}

static void tell_session(Bus *b, SessionNode *n) {
        n->dirty = false;
        log_unsent(sd_bus_emit_properties_changed(b->bus, n->path, BUS_SESSION, "State", "Slot", "Position",
                                                  "Parcel", "Parcels", NULL),
                   n->path);
}

static void tell_slot(Bus *b, int slot) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = slot_path(b, slot, &path);
        if (r >= 0)
                r = sd_bus_emit_properties_changed(b->bus, path, BUS_SLOT, "Door", "Service", "ServiceReason",
                                                   "BoardOnline", "InUse", "Positions", NULL);
        log_unsent(r, "a slot");
}

static void tell_free_positions(Bus *b) {
        size_t size = (size_t)MAX(b->cabinet->n_sizes, 1) * sizeof(unsigned);
        _cleanup_free_ unsigned *now = calloc(1, size);
        int r = now ? locker_free_positions(b->locker, now) : -ENOMEM;

        if (r >= 0 && memcmp(now, b->free_positions, size) != 0) {
                memcpy(b->free_positions, now, size);
                r = sd_bus_emit_properties_changed(b->bus, BUS_ROOT, BUS_CABINET, "FreePositions", NULL);
        }
        log_unsent(r, "free positions");
}

static int flush(sd_event_source *source, void *userdata) {
        Bus *b = userdata;

        if (!readers_may_signal(b))
                return 0; /* with the next change */
        while (b->dirty_parcels.n > 0) {
                uint64_t id = b->dirty_parcels.ids[0];
                idset_remove(&b->dirty_parcels, id);
                tell_parcel(b, id);
        }
        for (SessionNode *n = b->sessions; n; n = n->next)
                if (n->dirty)
                        tell_session(b, n);
        for (int i = 0; i < b->cabinet->n_slots; i++)
                if (b->dirty_slots[i]) {
                        b->dirty_slots[i] = false;
                        tell_slot(b, i);
                }
        if (b->dirty_free)
                tell_free_positions(b);
        if (b->dirty_health)
                log_unsent(sd_bus_emit_properties_changed(b->bus, BUS_ROOT, BUS_CABINET, "Health", NULL),
                           "health");
        b->dirty_free = b->dirty_health = false;
        return 0;
}

void changes_schedule(Bus *b) {
        int r = sd_event_source_set_enabled(b->flush, SD_EVENT_ONESHOT);
        log_unsent(r, "changes");
}

/* --- Listening to the locker ------------------------------------------------------------------------ */

static void on_slot(void *userdata, int slot) {
        Bus *b = userdata;

        b->dirty_slots[slot] = true;
        b->dirty_free = true;
        changes_schedule(b);
}

static void on_parcel(void *userdata, uint64_t id) {
        Bus *b = userdata;

        log_unsent(idset_add(&b->dirty_parcels, id), "a parcel");
        b->dirty_free = true;
        changes_schedule(b);
}

static void on_session(void *userdata, Session *s) {
        Bus *b = userdata;
        SessionNode *n = session_node_of(b, s);

        if (!n)
                return;
        if (session_state(s) != SESSION_ENDED) {
                n->dirty = true;
                changes_schedule(b);
                return;
        }
        /* The session is gone after this call, so this cannot wait. */
        tell_session(b, n);
        tell_removed(b, n->path, BUS_SESSION);
        session_node_free(n);
}

static void on_prompt(void *userdata, Session *s, int slot, unsigned position, const char *what,
                      const char *sentence) {
        Bus *b = userdata;
        const SessionNode *n = session_node_of(b, s);
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        if (!n || !n->owner)
                return;
        r = sd_bus_message_new_signal(b->bus, &m, n->path, BUS_SESSION, "Prompt");
        if (r >= 0)
                r = sd_bus_message_set_destination(m, n->owner);
        if (r >= 0)
                r = sd_bus_message_append(m, "suss", slot < 0 ? "" : b->cabinet->slots[slot].label, position,
                                          what, sentence);
        if (r >= 0)
                r = sd_bus_message_send(m);
        log_unsent(r, "a prompt");
}

static void on_health(void *userdata) {
        Bus *b = userdata;

        b->dirty_health = true;
        changes_schedule(b);
}

static void on_event(void *userdata, const EventRow *event) {
        Bus *b = userdata;

        if (!readers_may_signal(b))
                return; /* it is in the ledger: GetEvents */
        log_unsent(sd_bus_emit_signal(b->bus, BUS_ROOT, BUS_CABINET, "Event", "txsssb", event->sequence,
                                      event->wall_usec, event->type, event->subject, event->data,
                                      (int)event->synced),
                   "an event");
}

const LockerListener bus_listener = {
        .slot = on_slot,
        .parcel = on_parcel,
        .session = on_session,
        .prompt = on_prompt,
        .health = on_health,
        .event = on_event,
};

static int note_parcel(void *userdata, const PlaceRow *p) {
        return idset_add(userdata, p->id);
}

int changes_init(Bus *b) {
        int r;

        b->dirty_slots = calloc((size_t)MAX(b->cabinet->n_slots, 1), sizeof(*b->dirty_slots));
        b->free_positions = calloc((size_t)MAX(b->cabinet->n_sizes, 1), sizeof(*b->free_positions));
        if (!b->dirty_slots || !b->free_positions)
                return -ENOMEM;
        r = ledger_place_each(b->ledger, NULL, note_parcel, &b->parcels);
        if (r >= 0)
                r = sd_event_add_defer(b->event, &b->flush, flush, b);
        /* After all pending events, before idle work. */
        if (r >= 0)
                r = sd_event_source_set_priority(b->flush, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->flush, SD_EVENT_OFF);
        return r < 0 ? r : 0;
}

void changes_done(Bus *b) {
        sd_event_source_disable_unref(b->flush);
        idset_done(&b->parcels);
        idset_done(&b->dirty_parcels);
        free(b->dirty_slots);
        free(b->free_positions);
}
