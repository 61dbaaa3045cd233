/* SPDX-License-Identifier: Apache-2.0 */
/* What callers may. */
#pragma once

#include "bus/handler.h"
#include "bus/peer.h"
#include "core/access.h"
#include <sys/types.h>

typedef struct Permission {
        const char *interface, *member;
        Act act;     /* its act in the table of core/access.c */
        bool secret; /* the call or its reply holds a code, PIN or password */
        BusHandler handler;
} Permission;

const Permission *permission_find(const char *interface,
                                  const char *member); /* NULL: not in the table, refused */
int bus_groups_resolve(Bus *b);
unsigned bus_groups_of(const Bus *b, uid_t uid, const gid_t *gids, size_t n_gids);

int bus_dispatch_known(Peer *peer, sd_bus_message *m, const Permission *p, sd_bus_error *e);
