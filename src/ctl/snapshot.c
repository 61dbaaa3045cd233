/* SPDX-License-Identifier: Apache-2.0 */
/* All slots and parcels in one call, with the keys under which lockerctl(1) documents them. */
#include "ctl/ctl.h"

#include <ctype.h>
#include <errno.h>

/* Properties that are copied to the output under another name. */
typedef struct Rename {
        const char *property, *key;
} Rename;

static const Rename slot_keys[] = {
        {"Label", "label"},
        {"Size", "size"},
        {"Accessible", "accessible"},
        {"Temperature", "temperature"},
        {"Door", "door"},
        {"Service", "service"},
        {"ServiceReason", "service_reason"},
        {"Board", "board"},
        {"BoardOnline", "board_online"},
        {"InUse", "in_use"},
};

static const Rename cabinet_keys[] = {
        {"Version", "version"},
        {"Number", "number"},
        {"Name", "name"},
        {"Address", "address"},
        {"CodeAlphabet", "code_alphabet"},
        {"FreePositions", "free_positions"},
        {"Epoch", "epoch"},
        {"AuditHead", "audit_head"},
        {"OutboxLength", "outbox_length"},
};

static json_t *renamed(const json_t *properties, const Rename *keys, size_t n) {
        _cleanup_json_ json_t *object = json_object();

        for (size_t i = 0; object && i < n; i++) {
                json_t *value = json_object_get(properties, keys[i].property);
                if (json_object_set(object, keys[i].key, value ? value : json_null()) < 0)
                        return NULL;
        }
        return steal_ptr(object);
}

/* Structs are read as arrays: give their members names. */
static json_t *named_rows(const json_t *rows, const char *const *names, size_t n) {
        _cleanup_json_ json_t *list = json_array();
        json_t *row;
        size_t i;

        json_array_foreach(rows, i, row) {
                json_t *object = json_object();
                for (size_t k = 0; k < n; k++)
                        if (json_object_set(object, names[k], json_array_get(row, k)) < 0) {
                                json_decref(object);
                                return NULL;
                        }
                if (json_array_append_new(list, object) < 0)
                        return NULL;
        }
        return steal_ptr(list);
}

static json_t *slot_to_json(const json_t *properties) {
        static const char *const names[] = {"number", "service", "lock",  "presence",
                                            "state",  "parcel",  "reason"};
        static const char *const place_keys[] = {"column", "row", "height"};
        _cleanup_json_ json_t *object = renamed(properties, slot_keys, ARRAY_SIZE(slot_keys));
        json_t *place = json_object_get(properties, "Place"), *position;
        size_t i;

        for (i = 0; i < ARRAY_SIZE(place_keys); i++) {
                json_t *value = json_array_get(place, i);
                if (json_object_set(object, place_keys[i], value ? value : json_null()) < 0)
                        return NULL;
        }
        json_t *positions = named_rows(json_object_get(properties, "Positions"), names, ARRAY_SIZE(names));
        json_array_foreach(positions, i, position) {
                if (!json_number(position, "parcel"))
                        json_object_set_new(position, "parcel", json_null());
        }
        if (json_object_set_new(object, "positions", positions) < 0)
                return NULL;
        return steal_ptr(object);
}

static json_t *cabinet_to_json(const json_t *properties) {
        static const char *const size_names[] = {"name",     "order",     "label",
                                                 "width_mm", "height_mm", "depth_mm"};
        static const char *const health_names[] = {"component", "state", "sentence"};
        _cleanup_json_ json_t *object = renamed(properties, cabinet_keys, ARRAY_SIZE(cabinet_keys));
        json_t *location = json_object_get(properties, "Location");
        json_t *latitude = json_array_get(location, 0), *longitude = json_array_get(location, 1);

        if (json_object_set(object, "latitude", latitude ? latitude : json_null()) < 0 ||
            json_object_set(object, "longitude", longitude ? longitude : json_null()) < 0 ||
            json_object_set_new(object, "sizes",
                                named_rows(json_object_get(properties, "Sizes"), size_names,
                                           ARRAY_SIZE(size_names))) < 0 ||
            json_object_set_new(object, "health",
                                named_rows(json_object_get(properties, "Health"), health_names,
                                           ARRAY_SIZE(health_names))) < 0)
                return NULL;
        return steal_ptr(object);
}

json_t *parcel_to_json(const json_t *properties) {
        static const char *const keys[] = {"id",      "state",   "slot",      "position", "size",
                                           "waybill", "courier", "recipient", "phone",    "expired"};
        _cleanup_json_ json_t *lower = json_object(), *object = json_object();
        json_t *value;
        const char *key;

        json_object_foreach((json_t *)properties, key, value) {
                char name[64];
                size_t n = 0;
                for (; key[n] && n < sizeof(name) - 1; n++)
                        name[n] = (char)tolower((unsigned char)key[n]);
                name[n] = 0;
                if (json_object_set(lower, name, value) < 0)
                        return NULL;
        }
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                value = json_object_get(lower, keys[i]);
                bool missing = !value || (json_is_string(value) && !*json_string_value(value)) ||
                               (streq(keys[i], "position") && !json_integer_value(value));
                if (json_object_set(object, keys[i], missing ? json_null() : value) < 0)
                        return NULL;
        }
        if (json_set_time(object, "stored", (int64_t)json_number(lower, "stored")) < 0 ||
            json_set_time(object, "expires", (int64_t)json_number(lower, "expires")) < 0)
                return NULL;
        return steal_ptr(object);
}

static int by_label(const void *a, const void *b) {
        return strverscmp(json_text(*(json_t *const *)a, "label"), json_text(*(json_t *const *)b, "label"));
}

static int by_id(const void *a, const void *b) {
        uint64_t x = json_number(*(json_t *const *)a, "id"), y = json_number(*(json_t *const *)b, "id");
        return x < y ? -1 : x > y;
}

static json_t *sorted(const json_t *list, int (*compare)(const void *, const void *)) {
        size_t n = json_array_size(list), i;
        _cleanup_free_ json_t **rows = calloc(n ? n : 1, sizeof(*rows));
        _cleanup_json_ json_t *result = json_array();
        json_t *row;

        if (!rows)
                return NULL;
        json_array_foreach(list, i, row) rows[i] = row;
        qsort(rows, n, sizeof(*rows), compare);
        for (i = 0; i < n; i++)
                if (json_array_append(result, rows[i]) < 0)
                        return NULL;
        return steal_ptr(result);
}

static int read_cabinet(Ctl *c, json_t **ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *properties = NULL;

        int status = ctl_call(c, LOCKERD_PATH, "org.freedesktop.DBus.Properties", "GetAll", NULL, &reply, "s",
                              LOCKERD_INTERFACE_CABINET);
        if (status)
                return status;
        int r = json_from_bus(reply, &properties);
        if (r < 0)
                return ctl_bad_reply(c, r);
        *ret = cabinet_to_json(properties);
        return *ret ? 0 : ctl_oom(c);
}

static int collect_objects(const json_t *objects, json_t *slots, json_t *parcels) {
        json_t *interfaces;
        const char *path;

        json_object_foreach((json_t *)objects, path, interfaces) {
                const json_t *slot = json_object_get(interfaces, LOCKERD_INTERFACE_SLOT);
                const json_t *parcel = json_object_get(interfaces, LOCKERD_INTERFACE_PARCEL);
                if (slot && json_array_append_new(slots, slot_to_json(slot)) < 0)
                        return -ENOMEM;
                if (parcel && json_array_append_new(parcels, parcel_to_json(parcel)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* A position's row names the parcel; only the parcel says whether it has expired. */
static int mark_expired(json_t *slots, const json_t *parcels) {
        json_t *slot, *position;
        const json_t *parcel;
        size_t i, k, p;

        json_array_foreach(slots, i, slot)
                json_array_foreach(json_object_get(slot, "positions"), k, position) {
                bool expired = false;
                json_array_foreach(parcels, p, parcel) {
                        if (json_number(parcel, "id") == json_number(position, "parcel"))
                                expired = json_flag(parcel, "expired");
                }
                if (json_object_set_new(position, "expired", json_boolean(expired)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int snapshot_read(Ctl *c, bool with_cabinet, Snapshot *ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *objects = NULL, *slots = json_array(), *parcels = json_array();
        _cleanup_snapshot_ Snapshot s = {0};

        int status = ctl_call(c, LOCKERD_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                              NULL, &reply, "");
        if (status)
                return status;
        int r = json_from_bus(reply, &objects);
        if (r < 0)
                return ctl_bad_reply(c, r);
        if (collect_objects(objects, slots, parcels) < 0)
                return ctl_oom(c);
        s.slots = sorted(slots, by_label);
        s.parcels = sorted(parcels, by_id);
        if (!s.slots || !s.parcels || mark_expired(s.slots, s.parcels) < 0)
                return ctl_oom(c);
        if (with_cabinet) {
                status = read_cabinet(c, &s.cabinet);
                if (status)
                        return status;
        }
        *ret = s;
        s = (Snapshot){0};
        return 0;
}

void snapshot_done(Snapshot *s) {
        json_decref(s->cabinet);
        json_decref(s->slots);
        json_decref(s->parcels);
        *s = (Snapshot){0};
}
