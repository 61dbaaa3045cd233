/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's end of the link: starts lockerd-link, supervises it (ping, replacement with back-off), hands
 * messages over. What the worker says is bounded by count; one that says more is replaced. */
#pragma once

#include "core/cabinet.h"
#include "core/settings.h"
#include "link/wire.h"
#include <systemd/sd-event.h>

typedef struct LinkClient LinkClient;

typedef struct LinkHandlers {
        /* There is a worker, and no connection: tell it the time. */
        void (*started)(void *userdata);
        void (*status)(void *userdata, bool listening, const char *sentence);
        /* False: that is not what a worker of ours says. */
        bool (*opened)(void *userdata, uint32_t connection, const LinkWireOpened *o);
        bool (*request)(void *userdata, uint32_t connection, const LinkWireRequest *r);
        bool (*closed)(void *userdata, uint32_t connection);
        /* The worker is gone, and every connection with it. */
        void (*gone)(void *userdata, const char *sentence);
} LinkHandlers;

int link_client_new(LinkClient **ret, sd_event *event, const Settings *settings, const Cabinet *cabinet,
                    const LinkHandlers *handlers, void *userdata);
LinkClient *link_client_free(LinkClient *c);
DEFINE_CLEANUP(LinkClient *, link_client_free);
/* What does not fit into the socket is lost, and the worker with it: it has not read for long. */
void link_client_send(LinkClient *c, LinkWireType type, uint32_t connection, const void *body, size_t n);
/* A stream that another transport carries. The descriptor stays the caller's. */
void link_client_pass(LinkClient *c, int fd);
void link_client_replace(LinkClient *c); /* by another worker, which reads its files again */
