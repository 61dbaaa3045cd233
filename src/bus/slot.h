/* SPDX-License-Identifier: Apache-2.0 */
/* Slot objects. */
#pragma once

#include "bus/bus.h"
#include "bus/handler.h"
#include "bus/node.h"

/* The slot or parcel that sd-bus is reading. sd-bus looks an object up and then at once reads its
 * values, so 500 slots need no 500 objects here, and values are always the ledger's. */
typedef struct SlotNode {
        Node node;
        int slot;
} SlotNode;

extern const sd_bus_vtable slot_vtable[];

int slot_path(const Bus *b, int slot, char **ret);
int slot_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
              sd_bus_error *e);
int slot_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e);

HANDLER(slot_open);
HANDLER(slot_disable);
HANDLER(slot_enable);
HANDLER(slot_reconcile);
