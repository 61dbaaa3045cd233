/* SPDX-License-Identifier: Apache-2.0 */
/* Slot objects. They are not kept in memory: a path is an index into the cabinet, values come from
 * ledger and locker when asked for. */
#include "bus/slot.h"
#include "bus/args.h"
#include "bus/bus_struct.h"
#include "bus/handler.h"
#include "bus/names.h"
#include "bus/peer.h"
#include "bus/reply.h"

#include <errno.h>

int slot_path(const Bus *b, int slot, char **ret) {
        return sd_bus_path_encode(BUS_SLOT_ROOT, b->cabinet->slots[slot].label, ret);
}

static int slot_from_path(const Bus *b, const char *path) {
        _cleanup_free_ char *label = NULL, *canonical = NULL;
        int slot;

        if (sd_bus_path_decode(path, BUS_SLOT_ROOT, &label) <= 0 || !label)
                return -1;
        slot = cabinet_find_slot(b->cabinet, label);
        /* "_30_31" would decode to "01" as well; an object has one path only. */
        if (slot < 0 || slot_path(b, slot, &canonical) < 0 || !streq(canonical, path))
                return -1;
        return slot;
}

int slot_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
              sd_bus_error *e) {
        Bus *b = userdata;
        int slot = slot_from_path(b, path);

        if (slot < 0)
                return 0;
        b->slot = (SlotNode){.node.bus = b, .slot = slot};
        *ret = &b->slot;
        return 1;
}

int slot_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e) {
        Bus *b = userdata;
        char **paths = calloc((size_t)b->cabinet->n_slots + 1, sizeof(*paths));

        if (!paths)
                return -ENOMEM;
        for (int i = 0; i < b->cabinet->n_slots; i++) {
                int r = slot_path(b, i, &paths[i]);
                if (r < 0) {
                        while (i-- > 0)
                                free(paths[i]);
                        free(paths);
                        return r;
                }
        }
        *ret = paths;
        return 1;
}

static const Slot *slot_of(void *userdata) {
        const SlotNode *n = userdata;
        return &n->node.bus->cabinet->slots[n->slot];
}

static int get_label(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "s", slot_of(userdata)->label);
}

static int get_size(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SlotNode *n = userdata;
        return sd_bus_message_append(m, "s", n->node.bus->cabinet->sizes[slot_of(userdata)->size].name);
}

static int get_accessible(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "b", (int)slot_of(userdata)->accessible);
}

static int get_temperature(sd_bus *bus, const char *path, const char *interface, const char *property,
                           sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_message_append(m, "s", temperature_to_string(slot_of(userdata)->temperature));
}

static int get_place(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const Slot *s = slot_of(userdata);
        return sd_bus_message_append(m, "(uuu)", s->column, s->row, s->height);
}

static int get_door(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SlotNode *n = userdata;
        return sd_bus_message_append(
                m, "s", door_state_to_string(locker_door(n->node.bus->locker, slot_of(userdata)->lock)));
}

static int get_service(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SlotNode *n = userdata;
        ServiceRow row = {0};
        int r;

        r = ledger_service_get(n->node.bus->ledger, slot_of(userdata)->label, 0, &row);
        if (r >= 0)
                r = sd_bus_message_append(m, "s",
                                          streq(property, "Service") ? service_to_string(row.service)
                                          : row.reason               ? row.reason
                                                                     : "");
        service_row_done(&row);
        return r;
}

static const Board *board_of(void *userdata, int *ret_index) {
        const SlotNode *n = userdata;
        const Cabinet *c = n->node.bus->cabinet;

        *ret_index = c->locks[slot_of(userdata)->lock].board;
        return &c->boards[*ret_index];
}

static int get_board(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *m, void *userdata, sd_bus_error *e) {
        int board;
        return sd_bus_message_append(m, "s", board_of(userdata, &board)->name);
}

static int get_board_online(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SlotNode *n = userdata;
        int board;

        (void)board_of(userdata, &board);
        return sd_bus_message_append(m, "b", (int)locker_board_online(n->node.bus->locker, board));
}

static int get_in_use(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SlotNode *n = userdata;
        return sd_bus_message_append(m, "b", (int)locker_slot_in_use(n->node.bus->locker, n->slot));
}

typedef struct Occupants {
        const Slot *slot;
        PlaceRow *places; /* by position - 1; id 0: free */
} Occupants;

static int note_occupant(void *userdata, const PlaceRow *p) {
        Occupants *o = userdata;

        if (p->position >= 1 && p->position <= (unsigned)o->slot->n_positions)
                o->places[p->position - 1] = *p;
        return 0;
}

static const char *presence_word(const SlotNode *n, int position) {
        if (n->node.bus->cabinet->positions[position].presence.board < 0)
                return "none";
        switch (locker_presence(n->node.bus->locker, position)) {
        case TRI_NO:
                return "empty";
        case TRI_YES:
                return "occupied";
        case TRI_UNKNOWN:
                break;
        }
        return "unknown";
}

static int append_position(const SlotNode *n, int index, const PlaceRow *place, sd_bus_message *m) {
        Bus *b = n->node.bus;
        const Position *p = &b->cabinet->positions[index];
        ServiceRow row = {0};
        int r;

        r = ledger_service_get(b->ledger, b->cabinet->slots[n->slot].label, p->number, &row);
        if (r >= 0)
                r = sd_bus_message_append(
                        m, "(ussssts)", p->number, service_to_string(row.service),
                        p->lock < 0 ? "none" : door_state_to_string(locker_door(b->locker, p->lock)),
                        presence_word(n, index), place->id ? parcel_state_to_string(place->state) : "free",
                        place->id, row.service == SERVICE_IN || !row.reason ? "" : row.reason);
        service_row_done(&row);
        return r;
}

static int get_positions(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const SlotNode *n = userdata;
        const Slot *slot = slot_of(userdata);
        _cleanup_free_ PlaceRow *places = calloc((size_t)MAX(slot->n_positions, 1), sizeof(*places));
        int r;

        if (!places)
                return -ENOMEM;
        r = ledger_place_each(n->node.bus->ledger, slot->label, note_occupant,
                              &(Occupants){.slot = slot, .places = places});
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ussssts)");
        for (int i = 0; r >= 0 && i < slot->n_positions; i++)
                r = append_position(n, slot->first_position + i, &places[i], m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Common part of the methods of a slot. */
typedef struct SlotRequest {
        int slot;
        uint32_t position;
        const char *reason, *actor;
} SlotRequest;

static int request_complete(Bus *b, Peer *peer, sd_bus_message *m, SlotRequest *q, sd_bus_error *e) {
        q->slot = slot_from_path(b, sd_bus_message_get_path(m));
        if (q->slot < 0)
                return bus_failure(e, m, LOCKER_E_UNKNOWN_SLOT, NULL);
        q->actor = peer_actor(peer);
        if (!q->actor)
                return -ENOMEM;
        return args_check_reason(q->reason, e);
}

int slot_open(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        SlotRequest q = {0};
        Call *call;
        int r;

        r = sd_bus_message_read(m, "us", &q.position, &q.reason);
        if (r >= 0)
                r = request_complete(b, peer, m, &q, e);
        if (r >= 0)
                r = call_new(b, m, NULL, false, &call);
        if (r < 0)
                return r;
        locker_open_slot(b->locker, q.slot, q.position, q.actor, q.reason, call_answer, call);
        return 1;
}

static int set_service(Bus *b, Peer *peer, sd_bus_message *m, bool in_service, sd_bus_error *e) {
        SlotRequest q = {0};
        int r;

        r = sd_bus_message_read(m, "us", &q.position, &q.reason);
        if (r >= 0)
                r = request_complete(b, peer, m, &q, e);
        if (r < 0)
                return r;
        return bus_reply_result(
                m, locker_set_service(b->locker, q.slot, q.position, in_service, q.actor, q.reason), e);
}

int slot_disable(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        return set_service(b, peer, m, false, e);
}

int slot_enable(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        return set_service(b, peer, m, true, e);
}

int slot_reconcile(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        SlotRequest q = {0};
        const char *found;
        int r;

        r = sd_bus_message_read(m, "uss", &q.position, &found, &q.reason);
        if (r >= 0)
                r = request_complete(b, peer, m, &q, e);
        if (r < 0)
                return r;
        if (!streq(found, "parcel") && !streq(found, "empty"))
                return args_invalid(e, "\"found\" must be \"parcel\" or \"empty\".");
        if (q.position == 0)
                return args_invalid(e, "\"position\" must be given: from 1 to %d.",
                                    b->cabinet->slots[q.slot].n_positions);
        return bus_reply_result(
                m, locker_reconcile(b->locker, q.slot, q.position, streq(found, "parcel"), q.actor, q.reason),
                e);
}

const sd_bus_vtable slot_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Open", SD_BUS_ARGS("u", position, "s", reason), SD_BUS_NO_RESULT,
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Disable", SD_BUS_ARGS("u", position, "s", reason), SD_BUS_NO_RESULT,
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Enable", SD_BUS_ARGS("u", position, "s", reason), SD_BUS_NO_RESULT,
                                bus_dispatch, BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Reconcile", SD_BUS_ARGS("u", position, "s", found, "s", reason),
                                SD_BUS_NO_RESULT, bus_dispatch, BUS_FLAGS),
        SD_BUS_PROPERTY("Label", "s", get_label, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Size", "s", get_size, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Accessible", "b", get_accessible, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Temperature", "s", get_temperature, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Place", "(uuu)", get_place, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("Door", "s", get_door, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Service", "s", get_service, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("ServiceReason", "s", get_service, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Board", "s", get_board, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("BoardOnline", "b", get_board_online, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("InUse", "b", get_in_use, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Positions", "a(ussssts)", get_positions, 0, BUS_CHANGES),
        SD_BUS_VTABLE_END,
};
