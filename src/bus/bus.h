/* SPDX-License-Identifier: Apache-2.0 */
/* The D-Bus face of the cabinet: org.lockerd.Locker1 on the system bus. It translates: reads a message, asks
 * who is calling, makes one use-case call, maps the answer. What may happen is decided in src/locker; who may
 * ask is decided in authorise.c and nowhere else. */
#pragma once

#include "locker/locker.h"
#include <systemd/sd-event.h>

typedef struct Bus Bus;

/* Connects, exports every object, registers as the locker's listener and takes the name: all at start, where
 * waiting for the bus is harmless. Logs the reason itself when it fails (-EEXIST: the name is taken; -EACCES:
 * the bus's policy does not permit it). The locker and the settings must outlive the bus; answers that the
 * locker still owes when the bus is freed are dropped, and locker_free() must give them, so that nothing
 * leaks.
 *
 * When the connection is lost later, the event loop is left with EXIT_FAILURE. */
int bus_new(Bus **ret, sd_event *event, Locker *locker, const Settings *settings);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus *, bus_free);
