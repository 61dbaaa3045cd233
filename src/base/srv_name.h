/* SPDX-License-Identifier: Apache-2.0 */
/* Names of SRV records (RFC 2782) of services over TCP. No host's name begins with "_". */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The first n characters of name are _SERVICE._tcp.DOMAIN? */
bool srv_is_name(const char *name, size_t n);
/* DOMAIN, of a name for which that is true. */
const char *srv_domain(const char *name);
