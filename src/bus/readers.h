/* SPDX-License-Identifier: Apache-2.0 */
/* Whether callers read what they are sent. */
#pragma once

#include "bus/bus.h"

typedef struct Reader Reader;

int readers_watch(Bus *b);
void reader_gone(Bus *b, const char *name);
void readers_free(Bus *b);
bool readers_may_signal(Bus *b); /* false: the bus takes nothing, and what is said would only lie here */
