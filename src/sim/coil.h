/* SPDX-License-Identifier: Apache-2.0 */
/* The outputs of the boards: who is energised for how long, and what no master may do with them. */
#pragma once

#include "sim/model.h"

void coils_init(Board *b);
void coil_set(Coil *c, bool on, uint64_t at);
/* Turns now and back after `duration`, as boards do that time their pulses themselves. */
void coil_flash(Coil *c, bool on, uint64_t duration, uint64_t at);
/* The board lost its power. */
void coils_drop(Board *b, uint64_t at);
