/* SPDX-License-Identifier: Apache-2.0 */
/* Everything as JSON. */
#pragma once

#include "sim/model.h"
#include <jansson.h>

json_t *state_json(const Sim *s);
