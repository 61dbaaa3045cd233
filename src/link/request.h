/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: JSON text to the wire's request, strictly, by a table. Pure. schema/link/ has the same for those
 * who write handhelds; a test holds the two together. */
#pragma once

#include "link/wire.h"
#include "message/arguments.h"

typedef struct LinkRequest {
        int64_t id;   /* the handheld's; -1: it could not be read */
        bool hello;   /* else `wire` */
        bool version; /* with hello: there is one that both speak */
        LinkWireRequest wire;
} LinkRequest;

/* 0; LOCKER_E_INVALID_ARGUMENT or LOCKER_E_UNKNOWN_COMMAND with a detail that repeats no value; -EPROTO: that
 * is no JSON object with an id, and nothing can be answered; -ENOMEM. */
int link_request_read(const char *text, size_t n, LinkRequest *ret, char ret_detail[MESSAGE_DETAIL_MAX]);
/* Of all requests; for tests. */
const CommandRow *link_request_rows(size_t *ret_n);
