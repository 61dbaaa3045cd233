/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of the clock. */
#pragma once

#include "locker/locker.h"

void clock_tick(Locker *l, const Now *now);
