/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's end of the radio: starts lockerd-ble, supervises it, and hands the streams of phones over. */
#pragma once

#include "base/macros.h"
#include "core/cabinet.h"
#include "core/settings.h"
#include <systemd/sd-event.h>

typedef struct BleClient BleClient;

typedef struct BleHandlers {
        /* A phone's stream begins; the descriptor stays the client's. */
        void (*stream)(void *userdata, int fd);
        void (*health)(void *userdata, const char *state, const char *sentence);
} BleHandlers;

int ble_client_new(BleClient **ret, sd_event *event, const Settings *settings, const Cabinet *cabinet,
                   const BleHandlers *handlers, void *userdata);
/* What is advertised; nothing is sent when it is known already. */
void ble_client_set_offline(BleClient *c, bool offline);
BleClient *ble_client_free(BleClient *c);
DEFINE_CLEANUP(BleClient *, ble_client_free);
