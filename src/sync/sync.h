/* SPDX-License-Identifier: Apache-2.0 */
/* The backend's door into the cabinet (MQTT 5): the outbox drains in order, the retained state is kept fresh,
 * commands are stored, executed and answered. The network itself lives in a worker process (lockerd-mqtt,
 * links libmosquitto): resolving names, connecting and TLS may block there as long as they like. */
#pragma once

#include "core/settings.h"
#include "locker/locker.h"
#include <systemd/sd-event.h>

typedef struct Sync Sync;

/* Does nothing, successfully, when settings->mqtt.host is NULL. The locker tells sync what changes through
 * sync_listener. */
int sync_new(Sync **ret, sd_event *event, Locker *locker, const Settings *settings);
/* Loads the signing keys again. NULL: nothing to do. */
void sync_reload(Sync *s);
/* Publishes "offline" and leaves; waits at most a second. */
Sync *sync_free(Sync *s);
DEFINE_CLEANUP(Sync *, sync_free);
