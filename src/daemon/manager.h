/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told (sd_notify(3)): state, and the watchdog's sign of life. Nothing here waits
 * for it: sd_notify() and sd_event_set_watchdog() would, when the manager does not read its socket, and the
 * doors with them. What it does not take is kept, in order, and sent as soon as it reads again. */
#pragma once

#include "base/macros.h"
#include <systemd/sd-event.h>

typedef struct Manager Manager;

/* Without NOTIFY_SOCKET= nobody is told anything. Starts the watchdog if WATCHDOG_USEC= asks for it. */
int manager_new(Manager **ret, sd_event *event);
/* Tries to send what is left, once. */
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);
/* Lines of sd_notify(3), at most 255 bytes. */
_printf_(2, 3) void manager_tell(Manager *m, const char *format, ...);
