/* SPDX-License-Identifier: Apache-2.0 */
/* The GPIO lines of a cabinet and what hangs on them, for whoever holds a screwdriver. */
#pragma once

#include "core/cabinet.h"

void wiring_print(const Cabinet *c);
