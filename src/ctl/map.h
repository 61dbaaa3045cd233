/* SPDX-License-Identifier: Apache-2.0 */
/* Draws the cabinet as seen from the front. Deterministic: the same slots give the same picture. */
#pragma once

#include "ctl/ctl.h"

/* The doors, in bands of columns that fit c->width. An exit status. */
int map_draw(const Ctl *c, const json_t *slots);
