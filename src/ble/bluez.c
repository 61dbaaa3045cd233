/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/bluez.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#define BLUEZ         "org.bluez"
#define APPLICATION   "/org/lockerd/ble"
#define SERVICE       APPLICATION "/service"
#define IN            SERVICE "/in"
#define OUT           SERVICE "/out"
#define ADVERTISEMENT "/org/lockerd/advertisement"
#define PATH_MAX_     64
#define OWNER_MAX     64
#define CALL_TIMEOUT  (30 * USEC_PER_SEC)
#define RETRY_FIRST   (1 * USEC_PER_SEC)
#define RETRY_MAX     (60 * USEC_PER_SEC)

/* In this order; each is a call whose answer leads to the next. */
typedef enum Stage {
        STAGE_AWAY,      /* BlueZ is not there */
        STAGE_LOOK,      /* which adapters are there */
        STAGE_POWER,     /* it is switched on */
        STAGE_SERVICE,   /* the service is registered */
        STAGE_ADVERTISE, /* the advertisement is registered */
        STAGE_UP,
} Stage;

struct Bluez {
        sd_event *event;
        sd_bus *bus;
        char adapter[BLE_ADAPTER_MAX], cabinet[BLE_CABINET_MAX];
        const BluezHandlers *handlers;
        void *userdata;

        Stage stage;
        char owner[OWNER_MAX]; /* unique name of BlueZ; "": it is not there */
        char path[PATH_MAX_];  /* of the adapter; "": none */
        bool powered, offline, lost;
        sd_bus_slot *call; /* of the stage */
        sd_event_source *retry;
        uint64_t pause;
        BleProblem problem;
        char detail[BLE_DETAIL_MAX];
        bool told;
};

static void begin_stage(Bluez *b, Stage stage);

static void tell(Bluez *b, BleProblem problem, const char *detail) {
        if (b->told && b->problem == problem && streq(b->detail, detail))
                return;
        b->problem = problem;
        snprintf(b->detail, sizeof(b->detail), "%s", detail);
        b->told = true;
        b->handlers->health(b->userdata, problem, b->detail);
}

/* --- what BlueZ calls --- */

/* Nobody else on the bus has anything to say here. */
static bool is_bluez(Bluez *b, sd_bus_message *m) {
        const char *sender = sd_bus_message_get_sender(m);

        return sender && *b->owner && streq(sender, b->owner);
}

static int refuse(sd_bus_message *m, const char *name, const char *sentence) {
        return sd_bus_reply_method_errorf(m, name, "%s", sentence);
}

typedef struct Options {
        const char *device;
        uint16_t mtu, offset;
} Options;

static int read_options(sd_bus_message *m, Options *ret) {
        *ret = (Options){0};
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        break;
                if (streq(key, "device"))
                        r = sd_bus_message_read(m, "v", "o", &ret->device);
                else if (streq(key, "mtu"))
                        r = sd_bus_message_read(m, "v", "q", &ret->mtu);
                else if (streq(key, "offset"))
                        r = sd_bus_message_read(m, "v", "q", &ret->offset);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : ret->device ? 0 : -EINVAL;
}

static int on_read(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint8_t status[LOCKERD_BLE_STATUS_SIZE];
        Bluez *b = userdata;
        Options o;

        (void)error;
        if (!is_bluez(b, m))
                return refuse(m, SD_BUS_ERROR_ACCESS_DENIED, "Only BlueZ may do that.");
        int r = read_options(m, &o);
        if (r < 0)
                return r;
        if (o.offset)
                return refuse(m, "org.bluez.Error.InvalidOffset", "The status is read at once.");
        r = b->handlers->asked(b->userdata, o.device, o.mtu, status);
        if (r < 0)
                return refuse(m, "org.bluez.Error.Failed", "There are too many phones.");
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', status, sizeof(status));
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int on_write(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bluez *b = userdata;
        const void *data;
        size_t n;
        Options o;

        (void)error;
        if (!is_bluez(b, m))
                return refuse(m, SD_BUS_ERROR_ACCESS_DENIED, "Only BlueZ may do that.");
        int r = sd_bus_message_read_array(m, 'y', &data, &n);
        if (r >= 0)
                r = read_options(m, &o);
        if (r < 0)
                return r;
        if (o.offset)
                return refuse(m, "org.bluez.Error.InvalidOffset", "A fragment is written at once.");
        if (n > LOCKERD_BLE_VALUE_MAX || b->handlers->wrote(b->userdata, o.device, data, n) < 0)
                return refuse(m, "org.bluez.Error.Failed", "This is no fragment of a stream.");
        return sd_bus_reply_method_return(m, NULL);
}

static int on_notify_switch(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void)error;
        return is_bluez(userdata, m) ? sd_bus_reply_method_return(m, NULL)
                                     : refuse(m, SD_BUS_ERROR_ACCESS_DENIED, "Only BlueZ may do that.");
}

/* The advertisement has been taken down. */
static int on_release(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bluez *b = userdata;

        (void)error;
        if (!is_bluez(b, m))
                return refuse(m, SD_BUS_ERROR_ACCESS_DENIED, "Only BlueZ may do that.");
        if (b->stage == STAGE_UP)
                begin_stage(b, STAGE_LOOK);
        return sd_bus_reply_method_return(m, NULL);
}

/* --- what BlueZ reads --- */

#define GETTER(name)                                                                                     \
        static int name(sd_bus *bus _unused_, const char *path _unused_, const char *interface _unused_, \
                        const char *property _unused_, sd_bus_message *reply, void *userdata _unused_,   \
                        sd_bus_error *error _unused_)

GETTER(get_uuid) {
        return sd_bus_message_append(reply, "s",
                                     streq(path, IN)    ? LOCKERD_BLE_IN
                                     : streq(path, OUT) ? LOCKERD_BLE_OUT
                                                        : LOCKERD_BLE_SERVICE);
}

GETTER(get_primary) {
        return sd_bus_message_append(reply, "b", 1);
}

GETTER(get_service) {
        return sd_bus_message_append(reply, "o", SERVICE);
}

GETTER(get_flags) {
        return streq(path, IN) ? sd_bus_message_append(reply, "as", 2, "write", "write-without-response")
                               : sd_bus_message_append(reply, "as", 2, "read", "notify");
}

GETTER(get_type) {
        return sd_bus_message_append(reply, "s", "peripheral");
}

GETTER(get_service_uuids) {
        return sd_bus_message_append(reply, "as", 1, LOCKERD_BLE_SERVICE);
}

GETTER(get_local_name) {
        return sd_bus_message_append(reply, "s", ((Bluez *)userdata)->cabinet);
}

GETTER(get_manufacturer_data) {
        const Bluez *b = userdata;
        unsigned flags = b->offline ? LOCKERD_BLE_OFFLINE : 0;

        return sd_bus_message_append(reply, "a{qv}", 1, LOCKERD_BLE_COMPANY, "ay", 2, LOCKERD_BLE_VERSION,
                                     flags);
}

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("UUID", "s", get_uuid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Primary", "b", get_primary, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable in_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("WriteValue", "aya{sv}", "", on_write, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("UUID", "s", get_uuid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Service", "o", get_service, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Flags", "as", get_flags, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable out_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("ReadValue", "a{sv}", "ay", on_read, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartNotify", "", "", on_notify_switch, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopNotify", "", "", on_notify_switch, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("UUID", "s", get_uuid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Service", "o", get_service, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Flags", "as", get_flags, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable advertisement_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Release", "", "", on_release, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Type", "s", get_type, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ServiceUUIDs", "as", get_service_uuids, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("LocalName", "s", get_local_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ManufacturerData", "a{qv}", get_manufacturer_data, 0,
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static int add_objects(Bluez *b) {
        static const struct {
                const char *path, *interface;
                const sd_bus_vtable *vtable;
        } objects[] = {
                {SERVICE, "org.bluez.GattService1", service_vtable},
                {IN, "org.bluez.GattCharacteristic1", in_vtable},
                {OUT, "org.bluez.GattCharacteristic1", out_vtable},
                {ADVERTISEMENT, "org.bluez.LEAdvertisement1", advertisement_vtable},
        };
        int r = sd_bus_add_object_manager(b->bus, NULL, APPLICATION);

        for (size_t i = 0; i < ARRAY_SIZE(objects) && r >= 0; i++)
                r = sd_bus_add_object_vtable(b->bus, NULL, objects[i].path, objects[i].interface,
                                             objects[i].vtable, b);
        return r;
}

/* --- the stages --- */

static void forget_call(Bluez *b) {
        b->call = sd_bus_slot_unref(b->call);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)source;
        (void)usec;
        begin_stage(userdata, STAGE_LOOK);
        return 0;
}

static void try_later(Bluez *b, BleProblem problem, const char *detail) {
        uint64_t now = 0;

        forget_call(b);
        tell(b, problem, detail);
        b->pause = b->pause ? MIN(2 * b->pause, RETRY_MAX) : RETRY_FIRST;
        (void)sd_event_now(b->event, CLOCK_BOOTTIME, &now);
        b->retry = sd_event_source_unref(b->retry);
        if (sd_event_add_time(b->event, &b->retry, CLOCK_BOOTTIME, now + b->pause, 0, on_retry, b) < 0)
                b->lost = true;
}

static void all_gone(Bluez *b) {
        *b->path = '\0';
        b->handlers->all_gone(b->userdata);
}

typedef struct Adapter {
        bool is_adapter, serves, advertises, powered;
} Adapter;

static int read_adapter(sd_bus_message *m, Adapter *a) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;
                int powered = 0;
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = streq(key, "Powered") ? sd_bus_message_read(m, "v", "b", &powered)
                                                  : sd_bus_message_skip(m, "v");
                a->powered |= powered;
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_interfaces(sd_bus_message *m, Adapter *a) {
        int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                const char *interface;
                r = sd_bus_message_read(m, "s", &interface);
                if (r < 0)
                        break;
                a->is_adapter |= streq(interface, "org.bluez.Adapter1");
                a->serves |= streq(interface, "org.bluez.GattManager1");
                a->advertises |= streq(interface, "org.bluez.LEAdvertisingManager1");
                r = streq(interface, "org.bluez.Adapter1") ? read_adapter(m, a)
                                                           : sd_bus_message_skip(m, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static bool is_wanted(const Bluez *b, const char *path, const Adapter *a) {
        const char *name = strrchr(path, '/');

        return a->is_adapter && a->serves && a->advertises && strlen(path) < PATH_MAX_ &&
               (!*b->adapter || (name && streq(name + 1, b->adapter)));
}

/* The first that is wanted: BlueZ lists them in no order, the lowest name counts. */
static int read_objects(Bluez *b, sd_bus_message *m) {
        int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");

        *b->path = '\0';
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                Adapter a = {0};
                const char *path;
                r = sd_bus_message_read(m, "o", &path);
                if (r >= 0)
                        r = read_interfaces(m, &a);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r >= 0 && is_wanted(b, path, &a) && (!*b->path || strcmp(path, b->path) < 0)) {
                        snprintf(b->path, sizeof(b->path), "%s", path);
                        b->powered = a.powered;
                }
        }
        return r < 0 ? r : 0;
}

static BleProblem stage_problem(Stage stage) {
        return stage == STAGE_LOOK ? BLE_NO_BLUEZ : stage == STAGE_POWER ? BLE_OFF : BLE_REFUSED;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        Bluez *b = userdata;
        Stage stage = b->stage;

        (void)error;
        forget_call(b);
        /* Registered already, before the adapter was switched off and on. */
        if (e && stage > STAGE_POWER && streq(e->name, "org.bluez.Error.AlreadyExists"))
                e = NULL;
        if (e) {
                try_later(b, stage_problem(stage), e->message ? e->message : e->name);
                return 0;
        }
        if (stage == STAGE_LOOK) {
                if (read_objects(b, m) < 0)
                        try_later(b, BLE_NO_BLUEZ, "its answer is not understood");
                else if (!*b->path)
                        try_later(b, BLE_NO_ADAPTER, b->adapter);
                else
                        begin_stage(b, b->powered ? STAGE_SERVICE : STAGE_POWER);
                return 0;
        }
        begin_stage(b, stage + 1);
        return 0;
}

static int call(Bluez *b, const char *path, const char *interface, const char *member, const char *types,
                ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;

        int r = sd_bus_message_new_method_call(b->bus, &m, b->owner, path, interface, member);
        va_start(ap, types);
        if (r >= 0 && *types)
                r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        return r < 0 ? r : sd_bus_call_async(b->bus, &b->call, m, on_answer, b, CALL_TIMEOUT);
}

static void begin_stage(Bluez *b, Stage stage) {
        int r = 0;

        forget_call(b);
        b->retry = sd_event_source_unref(b->retry);
        b->stage = stage;
        switch (stage) {
        case STAGE_AWAY:
                tell(b, BLE_NO_BLUEZ, "");
                break;
        case STAGE_LOOK:
                r = call(b, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "");
                break;
        case STAGE_POWER:
                r = call(b, b->path, "org.freedesktop.DBus.Properties", "Set", "ssv", "org.bluez.Adapter1",
                         "Powered", "b", 1);
                break;
        case STAGE_SERVICE:
                r = call(b, b->path, "org.bluez.GattManager1", "RegisterApplication", "oa{sv}", APPLICATION,
                         0);
                break;
        case STAGE_ADVERTISE:
                r = call(b, b->path, "org.bluez.LEAdvertisingManager1", "RegisterAdvertisement", "oa{sv}",
                         ADVERTISEMENT, 0);
                break;
        case STAGE_UP:
                b->pause = 0;
                tell(b, BLE_FINE, strrchr(b->path, '/') + 1);
                break;
        }
        if (r < 0)
                try_later(b, stage_problem(stage), "");
}

/* --- who comes and goes --- */

static void owner_is(Bluez *b, const char *owner) {
        if (streq(b->owner, owner))
                return;
        if (*b->owner)
                all_gone(b);
        snprintf(b->owner, sizeof(b->owner), "%s", owner);
        b->pause = 0;
        begin_stage(b, *owner ? STAGE_LOOK : STAGE_AWAY);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *before, *after;
        int r = sd_bus_message_read(m, "sss", &name, &before, &after);

        (void)error;
        if (r >= 0 && streq(name, BLUEZ))
                owner_is(userdata, after);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *owner = "";

        (void)error;
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "s", &owner) >= 0)
                owner_is(userdata, owner);
        else if (!*((Bluez *)userdata)->owner)
                begin_stage(userdata, STAGE_AWAY);
        return 0;
}

typedef struct Asking {
        Bluez *bluez;
        char device[];
} Asking;

/* One that has been paired is somebody's keyboard, say, and none of ours. */
static int on_paired(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Asking *a = userdata;
        int paired = 0;

        (void)error;
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "v", "b", &paired) >= 0 &&
            !paired)
                a->bluez->handlers->connected(a->bluez->userdata, a->device);
        return 0;
}

static void has_connected(Bluez *b, const char *device) {
        size_t n = strlen(device) + 1;
        Asking *a = malloc(sizeof(*a) + n);
        sd_bus_slot *slot = NULL;

        if (!a)
                return;
        a->bluez = b;
        memcpy(a->device, device, n);
        if (sd_bus_call_method_async(b->bus, &slot, b->owner, device, "org.freedesktop.DBus.Properties",
                                     "Get", on_paired, a, "ss", "org.bluez.Device1", "Paired") < 0) {
                free(a);
                return;
        }
        (void)sd_bus_slot_set_destroy_callback(slot, free);
        (void)sd_bus_slot_set_floating(slot, 1);
        sd_bus_slot_unref(slot);
}

/* Of all that has changed: this property, a boolean. 0: it has not; 1: *ret. */
static int changed_to(sd_bus_message *m, const char *wanted, int *ret) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}"), found = 0;

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        break;
                if (streq(key, wanted)) {
                        r = sd_bus_message_read(m, "v", "b", ret);
                        found = r >= 0;
                } else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : found;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m), *interface;
        Bluez *b = userdata;
        int value = 0;

        (void)error;
        if (!is_bluez(b, m) || sd_bus_message_read(m, "s", &interface) < 0)
                return 0;
        if (streq(interface, "org.bluez.Device1") && changed_to(m, "Connected", &value) > 0) {
                if (value)
                        has_connected(b, path);
                else
                        b->handlers->gone(b->userdata, path);
        } else if (streq(interface, "org.bluez.Adapter1") && streq(path, b->path) &&
                   changed_to(m, "Powered", &value) > 0 && !value && b->stage == STAGE_UP) {
                all_gone(b);
                try_later(b, BLE_OFF, "");
        }
        return 0;
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bluez *b = userdata;
        const char *path;

        (void)error;
        if (!is_bluez(b, m) || sd_bus_message_read(m, "o", &path) < 0)
                return 0;
        if (*b->path && streq(path, b->path)) {
                all_gone(b);
                begin_stage(b, STAGE_LOOK);
        } else
                b->handlers->gone(b->userdata, path);
        return 0;
}

/* An adapter that has been plugged in need not wait for the next try. */
static int on_added(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bluez *b = userdata;
        const char *path;
        Adapter a = {0};

        (void)error;
        if (is_bluez(b, m) && sd_bus_message_read(m, "o", &path) >= 0 && read_interfaces(m, &a) >= 0 &&
            a.is_adapter && !*b->path)
                begin_stage(b, STAGE_LOOK);
        return 0;
}

static int watch(Bluez *b) {
        int r = sd_bus_match_signal_async(b->bus, NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                          "org.freedesktop.DBus", "NameOwnerChanged", on_owner_changed, NULL,
                                          b);

        if (r >= 0)
                r = sd_bus_add_match_async(b->bus, NULL,
                                           "type='signal',sender='" BLUEZ
                                           "',interface='org.freedesktop.DBus.Properties',"
                                           "member='PropertiesChanged',path_namespace='/org/bluez'",
                                           on_properties, NULL, b);
        if (r >= 0)
                r = sd_bus_match_signal_async(b->bus, NULL, BLUEZ, "/", "org.freedesktop.DBus.ObjectManager",
                                              "InterfacesRemoved", on_removed, NULL, b);
        if (r >= 0)
                r = sd_bus_match_signal_async(b->bus, NULL, BLUEZ, "/", "org.freedesktop.DBus.ObjectManager",
                                              "InterfacesAdded", on_added, NULL, b);
        if (r >= 0)
                r = sd_bus_call_method_async(b->bus, NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                             "org.freedesktop.DBus", "GetNameOwner", on_owner, b, "s", BLUEZ);
        return r;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bluez *b = userdata;

        (void)m;
        (void)error;
        b->lost = true;
        return sd_event_exit(b->event, 0);
}

/* --- what the others ask for --- */

bool bluez_is_lost(const Bluez *b) {
        return b->lost;
}

int bluez_notify(Bluez *b, const uint8_t *data, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_signal(b->bus, &m, OUT, "org.freedesktop.DBus.Properties",
                                          "PropertiesChanged");

        if (!*b->owner)
                return -ENOTCONN;
        /* Nobody else need hear it. */
        if (r >= 0)
                r = sd_bus_message_set_destination(m, b->owner);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "org.bluez.GattCharacteristic1");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Value");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', data, n);
        for (unsigned i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "as", 0);
        return r < 0 ? r : sd_bus_send(b->bus, m, NULL);
}

void bluez_disconnect(Bluez *b, const char *device) {
        if (*b->owner)
                (void)sd_bus_call_method_async(b->bus, NULL, b->owner, device, "org.bluez.Device1",
                                               "Disconnect", NULL, NULL, "");
}

void bluez_set_offline(Bluez *b, bool offline) {
        if (b->offline == offline)
                return;
        b->offline = offline;
        (void)sd_bus_emit_properties_changed(b->bus, ADVERTISEMENT, "org.bluez.LEAdvertisement1",
                                             "ManufacturerData", NULL);
}

int bluez_new(Bluez **ret, sd_event *event, const BluezOptions *options, const BluezHandlers *handlers,
              void *userdata) {
        _cleanup_(bluez_freep) Bluez *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        b->handlers = handlers;
        b->userdata = userdata;
        snprintf(b->adapter, sizeof(b->adapter), "%s", options->adapter);
        snprintf(b->cabinet, sizeof(b->cabinet), "%s", options->cabinet);
        int r = sd_bus_new(&b->bus);
        if (r >= 0)
                r = sd_bus_set_address(b->bus, options->bus);
        if (r >= 0)
                r = sd_bus_set_bus_client(b->bus, 1);
        if (r >= 0)
                r = sd_bus_start(b->bus);
        if (r >= 0)
                r = sd_bus_match_signal_async(b->bus, NULL, "org.freedesktop.DBus.Local",
                                              "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                              "Disconnected", on_disconnected, NULL, b);
        if (r >= 0)
                r = add_objects(b);
        if (r >= 0)
                r = sd_bus_attach_event(b->bus, event, 0);
        if (r >= 0)
                r = watch(b);
        if (r < 0)
                return r;
        *ret = steal_ptr(b);
        return 0;
}

Bluez *bluez_free(Bluez *b) {
        if (!b)
                return NULL;
        forget_call(b);
        sd_event_source_unref(b->retry);
        /* What is still under way would find nothing here. */
        if (b->bus)
                sd_bus_close(b->bus);
        sd_bus_unref(b->bus);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}
