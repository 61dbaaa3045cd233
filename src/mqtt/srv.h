/* SPDX-License-Identifier: Apache-2.0 */
/* SRV records of the DNS (RFC 2782): which hosts and ports offer a service of a domain, and in which order
 * they are tried. An answer is data of strangers: what is not a host name, and what is too much, is left
 * out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SRV_TARGETS_MAX 32  /* of an answer; more do not fit in the packet that is asked for */
#define SRV_HOST_MAX    253 /* characters of a name */

typedef struct SrvTarget {
        char host[SRV_HOST_MAX + 1]; /* never an address */
        uint16_t port;               /* never 0 */
        uint16_t priority, weight;
} SrvTarget;

typedef struct SrvList {
        unsigned n;
        SrvTarget all[SRV_TARGETS_MAX];
} SrvList;

/* A whole message of a name server → targets, in its order. 0; -ENODATA: it has no such records;
 * -ENOENT: the domain says that it does not offer the service (target "."); -EBADMSG: not a message, or
 * nothing in it can be used. */
int srv_read(const uint8_t *message, size_t n, SrvList *ret);

/* As they are to be tried: the lowest priority first, within it by chance according to weight.
 * random_below(n): 0 … n - 1. */
void srv_order(SrvList *l, uint64_t (*random_below)(uint64_t n));

/* name: see base/srv_name.h. Asks the name servers of /etc/resolv.conf; waits, for less than half a minute.
 * As srv_read(), or -EAGAIN: they do not answer, or cannot say. */
int srv_ask(const char *name, SrvList *ret);
