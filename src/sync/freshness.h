/* SPDX-License-Identifier: Apache-2.0 */
/* Nonces of the cabinet's state: whoever signs one into a command has signed it within the last
 * FRESHNESS_LIFE_USEC, whatever the calendars say. A nonce may serve several commands (none of them is
 * carried out twice: its id is known), is renewed as it grows old, and none survives a start. */
#pragma once

#include "base/clock.h"

#define FRESHNESS_NONCE_MAX  33 /* hexadecimal digits and NUL */
#define FRESHNESS_LIFE_USEC  (120 * USEC_PER_SEC)
#define FRESHNESS_RENEW_USEC (60 * USEC_PER_SEC)

typedef struct Freshness {
        struct {
                char text[FRESHNESS_NONCE_MAX];
                uint64_t made; /* boot µs */
        } nonces[2];           /* the newer one first; text "": none */
} Freshness;

/* One that lasts for at least half a life. -EIO: there is no randomness. */
int freshness_nonce(Freshness *f, uint64_t now_boot, const char **ret);
/* nonce NULL or "": proves nothing. */
bool freshness_proves(const Freshness *f, uint64_t now_boot, const char *nonce);
/* Whatever was signed before proves nothing any more. */
void freshness_renew(Freshness *f);
