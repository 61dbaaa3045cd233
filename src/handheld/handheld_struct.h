/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept in memory of handhelds; inside of handheld.h. */
#pragma once

#include "core/bucket.h"
#include "handheld/handheld.h"
#include "handheld/ble_client.h"
#include "handheld/link_client.h"
#include "lockerd/link.h"

#define HANDHELD_TERMINAL                                                                \
        "link" /* of its sessions, in the ledger and for lockouts: all handhelds are one \
                */

typedef struct Connection Connection;

/* A request whose answer is to come; it outlives its connection. */
typedef struct Request {
        Connection *connection; /* NULL: nobody waits any more */
        uint32_t number;
        LinkVerb verb;
} Request;

struct Connection {
        Connection *next;
        Handhelds *handhelds;
        uint32_t number;
        LinkWireOpened who;
        Session *session; /* NULL: none yet, or it has ended */
        Request *request; /* under way */
        bool closing;     /* the worker has been told */
};

struct Handhelds {
        sd_event *event;
        sd_event_source *timer;
        Locker *locker;
        const Settings *settings;
        LinkClient *client;
        BleClient *ble;          /* NULL: no radio */
        uint64_t away_since;     /* boot µs: the backend has not been there since; 0: it is there */
        Connection *connections; /* the newest first */
        size_t n_connections;
        Bucket strangers; /* sessions that are begun without a certificate */
};

/* request.c */
void request_take(Connection *c, const LinkWireRequest *r);
/* handheld.c */
void connection_close(Connection *c);
