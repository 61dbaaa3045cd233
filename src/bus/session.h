/* SPDX-License-Identifier: Apache-2.0 */
/* Session objects. */
#pragma once

#include "bus/bus.h"
#include "bus/handler.h"
#include "bus/names.h"
#include "bus/node.h"

typedef struct SessionNode {
        Node node;
        Session *session;
        char *owner; /* unique name; NULL once it has left */
        char path[BUS_PATH_MAX];
        bool dirty;
        struct SessionNode *next;
} SessionNode;

extern const sd_bus_vtable session_vtable[];

int session_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                 sd_bus_error *e);
int session_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *e);
int session_node_new(Bus *b, Session *s, const char *owner, SessionNode **ret);
SessionNode *session_node_of(Bus *b, const Session *s); /* NULL: not (or no longer) on the bus */
void session_node_free(SessionNode *n);                 /* takes it out of the list */

/* The session of the message's path, when the caller owns it; else a negative errno with e. */
int session_of(Bus *b, Peer *peer, sd_bus_message *m, Session **ret, sd_bus_error *e);

HANDLER(session_authenticate);
HANDLER(session_deposit);
HANDLER(session_too_small);
HANDLER(session_not_empty);
HANDLER(session_does_not_open);
HANDLER(session_reopen);
HANDLER(session_collect);
HANDLER(session_accept);
HANDLER(session_reject);
HANDLER(session_take_back);
HANDLER(session_lift_lockout);
HANDLER(session_cancel);
HANDLER(session_end);
