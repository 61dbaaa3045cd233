/* SPDX-License-Identifier: Apache-2.0 */
/* Out: what an event is on the wire. */
#pragma once

#include "ledger/events.h"
#include "sync/sync.h"

/* -EUCLEAN: it cannot be read and is left out; -EAGAIN: not before there is a key to seal its secret. */
int event_message(const Sync *s, const EventRow *e, const char *secret, char **ret);
