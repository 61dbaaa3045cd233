/* SPDX-License-Identifier: Apache-2.0 */
/* Callers. */
#pragma once

#include "bus/bus.h"
#include <sys/types.h>
#include <systemd/sd-bus.h>

typedef struct Waiting {
        sd_bus_message *message;
        struct Waiting *next;
} Waiting;

/* A connection that has made a call, until it leaves the bus. */
typedef struct Peer {
        Bus *bus;
        char *name; /* unique name */
        bool known; /* the bus has reported its credentials */
        uid_t uid;
        unsigned groups; /* Caller bits */
        char *actor;     /* "operator:anna"; made when first needed */
        char *terminal;  /* "kiosk", its user; likewise */
        sd_bus_slot *lookup;
        Waiting *waiting; /* calls that wait for the credentials, oldest first */
        unsigned n_waiting;
        struct Peer *next;
} Peer;

/* Every method of every vtable: identifies the caller, checks the table of permissions, calls the
 * handler. */
int bus_dispatch(sd_bus_message *m, void *userdata, sd_bus_error *e);
int peers_watch(Bus *b);
void peers_free(Bus *b);
const char *peer_actor(Peer *peer); /* NULL: out of memory */
/* Which terminal speaks, for lockouts and the ledger: the user as which the program runs, so that another
 * connection of it is the same terminal. NULL: out of memory. */
const char *peer_terminal(Peer *peer);
