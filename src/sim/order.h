/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket understands. */
#pragma once

#include "sim/model.h"
#include <jansson.h>

/* Executes one line (which it modifies) and returns the answer, or NULL when out of memory. */
json_t *order_run(Sim *s, char *line);
