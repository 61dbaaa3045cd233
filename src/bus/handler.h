/* SPDX-License-Identifier: Apache-2.0 */
/* How a method is carried out, and what its vtable says. */
#pragma once

#include "bus/bus.h"
#include "bus/peer.h"
#include <systemd/sd-bus.h>

/* Returns 0 or more, or negative with (or without) the error set. */
typedef int (*BusHandler)(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e);

/* For vtables. Unprivileged: sd-bus lets every caller through; authorise.c decides. */
#define BUS_FLAGS    SD_BUS_VTABLE_UNPRIVILEGED
#define BUS_CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define BUS_CHANGES  SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

#define HANDLER(name) int name(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e)
