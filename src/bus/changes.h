/* SPDX-License-Identifier: Apache-2.0 */
/* Change signals. */
#pragma once

#include "bus/bus.h"

extern const LockerListener bus_listener; /* userdata: the Bus */
int changes_init(Bus *b);
void changes_done(Bus *b);
void changes_schedule(Bus *b);
