/* SPDX-License-Identifier: Apache-2.0 */
/* A small picture of the cabinet on the terminal, redrawn a few times a second. */
#pragma once

#include "sim/model.h"

void view_start(Sim *s);
void view_stop(Sim *s);
