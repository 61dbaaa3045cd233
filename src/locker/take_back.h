/* SPDX-License-Identifier: Apache-2.0 */
/* One door after the other, until nothing is left to take back. */
#pragma once

#include "locker/locker.h"

void take_back_next(Session *s);
void take_back_stop(Session *s);
