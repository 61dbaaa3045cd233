/* SPDX-License-Identifier: Apache-2.0 */
/* The D-Bus interface of the cabinet: org.lockerd.Locker1 on the system bus. It translates: reads a
 * message, identifies the caller, makes one use-case call, maps the result. src/locker decides;
 * permissions are checked in authorise.c and nowhere else. */
#pragma once

#include "locker/locker.h"
#include <systemd/sd-event.h>

typedef struct Bus Bus;

/* Connects, exports every object, registers as the locker's listener and takes the name: all at start, where
 * waiting for the bus is harmless. Logs the reason itself when it fails (-EEXIST: the name is taken; -EACCES:
 * the bus's policy does not permit it). The locker and the settings must outlive the bus; pending answers are
 * dropped when the bus is freed, but locker_free() must still give them, so that their memory is freed.
 *
 * When the connection is lost later, the event loop exits with EXIT_FAILURE.  */
int bus_new(Bus **ret, sd_event *event, Locker *locker, const Settings *settings);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus *, bus_free);
