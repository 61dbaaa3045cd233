/* SPDX-License-Identifier: Apache-2.0 */
/* Parcel objects: the live rows of the ledger, masked. */
#include "bus/parcel.h"
#include "bus/args.h"
#include "bus/bus_struct.h"
#include "bus/cleanup.h"
#include "bus/handler.h"
#include "bus/names.h"
#include "bus/peer.h"
#include "bus/reply.h"
#include "base/text.h"
#include "core/code.h"
#include "core/mask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

void parcel_path(uint64_t id, char ret[BUS_PATH_MAX]) {
        (void)snprintf(ret, BUS_PATH_MAX, BUS_PARCEL_ROOT "/%" PRIu64, id);
}

int parcel_from_path(const char *path, uint64_t *ret) {
        char canonical[BUS_PATH_MAX];
        uint64_t id;

        if (strncmp(path, BUS_PARCEL_ROOT "/", sizeof(BUS_PARCEL_ROOT)) != 0 ||
            text_to_u64(path + sizeof(BUS_PARCEL_ROOT), INT64_MAX, &id) < 0 || id == 0)
                return -EINVAL;
        parcel_path(id, canonical); /* one path a parcel: no "0x11", no "017" */
        if (!streq(canonical, path))
                return -EINVAL;
        *ret = id;
        return 0;
}

int parcel_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                sd_bus_error *e) {
        Bus *b = userdata;
        uint64_t id;
        int r;

        if (parcel_from_path(path, &id) < 0)
                return 0;
        parcel_row_done(&b->parcel.row);
        b->parcel = (ParcelNode){.node.bus = b};
        r = ledger_parcel_get(b->ledger, id, &b->parcel.row);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        *ret = &b->parcel;
        return 1;
}

int parcel_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e) {
        Bus *b = userdata;
        char **paths = calloc(b->parcels.n + 1, sizeof(*paths));

        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < b->parcels.n; i++) {
                paths[i] = text_printf(BUS_PARCEL_ROOT "/%" PRIu64, b->parcels.ids[i]);
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

/* --- One table for the properties and for FindHistory ----------------------------------------------- */

static int append_masked(sd_bus_message *m, char *(*mask)(const char *), const char *value) {
        _cleanup_free_ char *masked = mask(value ? value : "");
        return masked ? sd_bus_message_append(m, "s", masked) : -ENOMEM;
}

/* name: the property's or, in lower case, FindHistory's. */
static int append_value(Bus *b, const ParcelRow *p, const char *name, sd_bus_message *m) {
        if (strcasecmp(name, "Id") == 0)
                return sd_bus_message_append(m, "t", p->id);
        if (strcasecmp(name, "State") == 0)
                return sd_bus_message_append(m, "s", parcel_state_to_string(p->state));
        if (strcasecmp(name, "Slot") == 0)
                return sd_bus_message_append(m, "s", p->slot);
        if (strcasecmp(name, "Position") == 0)
                return sd_bus_message_append(m, "u", p->position);
        if (strcasecmp(name, "Size") == 0)
                return sd_bus_message_append(m, "s", p->size);
        if (strcasecmp(name, "Waybill") == 0)
                return sd_bus_message_append(m, "s", p->waybill ? p->waybill : "");
        if (strcasecmp(name, "Courier") == 0)
                return sd_bus_message_append(m, "s", p->courier_number);
        if (strcasecmp(name, "Recipient") == 0)
                return append_masked(m, mask_name, p->recipient);
        if (strcasecmp(name, "Phone") == 0)
                return append_masked(m, mask_phone, p->phone);
        if (strcasecmp(name, "Stored") == 0)
                return sd_bus_message_append(m, "x", p->stored);
        if (strcasecmp(name, "Expires") == 0)
                return sd_bus_message_append(m, "x", p->expires);
        if (strcasecmp(name, "Ended") == 0)
                return sd_bus_message_append(m, "x", p->ended);
        if (strcasecmp(name, "Expired") == 0)
                return sd_bus_message_append(m, "b", (int)locker_expired(b->locker, p));
        return -ENOENT;
}

static int get_value(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const ParcelNode *n = userdata;
        return append_value(n->node.bus, &n->row, property, m);
}

int parcel_append_facts(Bus *b, const ParcelRow *p, sd_bus_message *m) {
        static const struct {
                const char *name, *type;
        } facts[] = {
                {"id", "t"},      {"state", "s"},   {"slot", "s"},      {"position", "u"}, {"size", "s"},
                {"waybill", "s"}, {"courier", "s"}, {"recipient", "s"}, {"phone", "s"},    {"stored", "x"},
                {"expires", "x"}, {"expired", "b"}, {"ended", "x"},
        };
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(facts); i++) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", facts[i].name);
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'v', facts[i].type);
                if (r >= 0)
                        r = append_value(b, p, facts[i].name, m);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* --- Methods ---------------------------------------------------------------------------------------- */

typedef struct ParcelRequest {
        uint64_t id;
        const char *reason, *actor;
} ParcelRequest;

static int request_read(Peer *peer, sd_bus_message *m, ParcelRequest *ret, sd_bus_error *e) {
        int r;

        r = sd_bus_message_read(m, "s", &ret->reason);
        if (r < 0)
                return r;
        if (parcel_from_path(sd_bus_message_get_path(m), &ret->id) < 0)
                return bus_failure(e, m, LOCKER_E_UNKNOWN_PARCEL, NULL);
        ret->actor = peer_actor(peer);
        if (!ret->actor)
                return -ENOMEM;
        return args_check_reason(ret->reason, e);
}

int parcel_recall(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        ParcelRequest q = {0};
        int r = request_read(peer, m, &q, e);

        return r < 0 ? r : bus_reply_result(m, locker_recall(b->locker, q.id, q.actor, q.reason), e);
}

int parcel_release(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        ParcelRequest q = {0};
        int r = request_read(peer, m, &q, e);

        return r < 0 ? r : bus_reply_result(m, locker_release(b->locker, q.id, q.actor, q.reason), e);
}

int parcel_new_code(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        char code[CODE_LENGTH + 1] = "";
        ParcelRequest q = {0};
        int r;

        r = request_read(peer, m, &q, e);
        if (r < 0)
                return r;
        /* Created before the code, so that no new code is generated that cannot be returned. */
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_sensitive(reply);
        if (r < 0)
                return r;
        r = locker_new_code(b->locker, q.id, q.actor, q.reason, code);
        if (r != 0)
                r = bus_failure(e, m, r, NULL);
        else
                r = sd_bus_message_append(reply, "s", code);
        explicit_bzero(code, sizeof(code));
        return r < 0 ? r : sd_bus_message_send(reply);
}

const sd_bus_vtable parcel_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Recall", SD_BUS_ARGS("s", reason), SD_BUS_NO_RESULT, bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("NewCode", SD_BUS_ARGS("s", reason), SD_BUS_RESULT("s", code), bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("s", reason), SD_BUS_NO_RESULT, bus_dispatch,
                                BUS_FLAGS),
        SD_BUS_PROPERTY("Id", "t", get_value, 0, BUS_CONSTANT),
        SD_BUS_PROPERTY("State", "s", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Slot", "s", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Position", "u", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Size", "s", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Waybill", "s", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Courier", "s", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Recipient", "s", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Phone", "s", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Stored", "x", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Expires", "x", get_value, 0, BUS_CHANGES),
        SD_BUS_PROPERTY("Expired", "b", get_value, 0, BUS_CHANGES),
        SD_BUS_VTABLE_END,
};
