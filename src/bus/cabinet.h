/* SPDX-License-Identifier: Apache-2.0 */
/* The cabinet's object. */
#pragma once

#include "bus/handler.h"

extern const sd_bus_vtable cabinet_vtable[];

HANDLER(cabinet_start_session);
HANDLER(cabinet_get_events);
HANDLER(cabinet_find_history);
