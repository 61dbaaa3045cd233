/* SPDX-License-Identifier: Apache-2.0 */
/* The outputs of the boards: pulses, and the objections to what no master may do with them. */
#pragma once

#include "sim/model.h"

void coils_init(Board *b);
void coil_set(Coil *c, bool on, uint64_t at);
/* Switches now and back after `duration`, like boards that time their pulses. */
void coil_flash(Coil *c, bool on, uint64_t duration, uint64_t at);
/* The board lost its power. */
void coils_drop(Board *b, uint64_t at);
