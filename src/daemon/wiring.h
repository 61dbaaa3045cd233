/* SPDX-License-Identifier: Apache-2.0 */
/* The GPIO lines of a cabinet and their use, for the installing technician. */
#pragma once

#include "core/cabinet.h"

void wiring_print(const Cabinet *c);
