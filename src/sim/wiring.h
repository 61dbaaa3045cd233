/* SPDX-License-Identifier: Apache-2.0 */
/* The channels of locks and contacts: the [Slot], [Position] and [Alarm] sections. */
#pragma once

#include "sim/ini_file.h"
#include "sim/model.h"

int wiring_read(Sim *sim, Ini *ini);
