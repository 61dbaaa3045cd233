/* SPDX-License-Identifier: Apache-2.0 */
/* BlueZ, over the system bus: finds an adapter, switches it on, registers the service and the advertisement,
 * and begins anew whenever one of them goes away. Phones are known by the path of their object. */
#pragma once

#include "base/macros.h"
#include "ble/ble_wire.h"
#include "lockerd/ble.h"
#include <systemd/sd-event.h>

typedef struct Bluez Bluez;

typedef struct BluezHandlers {
        /* Somebody whom nobody has paired has connected; again when it does that again. */
        void (*connected)(void *userdata, const char *device);
        void (*gone)(void *userdata, const char *device); /* also of one that was not told */
        void (*all_gone)(void *userdata);                 /* with the adapter, or BlueZ */
        /* It reads the status, which also asks for a stream. Negative errno: refused. */
        int (*asked)(void *userdata, const char *device, unsigned mtu,
                     uint8_t status[LOCKERD_BLE_STATUS_SIZE]);
        int (*wrote)(void *userdata, const char *device, const uint8_t *data, size_t n);
        /* Told once, until it changes. */
        void (*health)(void *userdata, BleProblem problem, const char *detail);
} BluezHandlers;

typedef struct BluezOptions {
        const char *bus;     /* D-Bus address */
        const char *adapter; /* "hci0"; "": the first that can do it */
        const char *cabinet; /* advertised as local name */
} BluezOptions;

/* Connects to the bus; the rest comes from the event loop. The texts are copied. */
int bluez_new(Bluez **ret, sd_event *event, const BluezOptions *options, const BluezHandlers *handlers,
              void *userdata);
/* The bus has gone: nothing more will come. */
bool bluez_is_lost(const Bluez *b);
/* To everybody who has subscribed. */
int bluez_notify(Bluez *b, const uint8_t *data, size_t n);
void bluez_disconnect(Bluez *b, const char *device);
void bluez_set_offline(Bluez *b, bool offline);
Bluez *bluez_free(Bluez *b);
DEFINE_CLEANUP(Bluez *, bluez_free);
