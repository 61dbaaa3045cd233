/* SPDX-License-Identifier: Apache-2.0 */
/* Parcel objects. */
#pragma once

#include "bus/bus.h"
#include "bus/handler.h"
#include "bus/names.h"
#include "bus/node.h"

/* The parcel that sd-bus is reading, as in slot.h. */
typedef struct ParcelNode {
        Node node;
        ParcelRow row;
} ParcelNode;

extern const sd_bus_vtable parcel_vtable[];

void parcel_path(uint64_t id, char ret[BUS_PATH_MAX]);
int parcel_from_path(const char *path, uint64_t *ret); /* -EINVAL */
int parcel_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                sd_bus_error *e);
int parcel_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e);
int parcel_append_facts(Bus *b, const ParcelRow *p, sd_bus_message *m); /* a{sv} */

HANDLER(parcel_recall);
HANDLER(parcel_new_code);
HANDLER(parcel_release);
