/* SPDX-License-Identifier: Apache-2.0 */
/* Moments as the backend writes them. */
#pragma once

#include "base/macros.h"

#define RFC3339_MAX 40

/* Wall µs → "2026-11-21T08:15:30.123456Z". What lies outside 1970 … 9999 is put at that end: a broken clock
 * must not keep an event from being sent. */
void rfc3339_format(int64_t wall_usec, char ret[RFC3339_MAX]);
/* Strict: with seconds and with an offset, "T" and "Z" in either case; digits of a second beyond the sixth
 * are dropped. -EINVAL, or -ERANGE outside 1970 … 9999. */
int rfc3339_parse(const char *s, int64_t *ret_wall_usec);
