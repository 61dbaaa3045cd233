/* SPDX-License-Identifier: Apache-2.0 */
/* Names and phone numbers of ended parcels. */
#pragma once

#include "people/people.h"

void history_tick(People *p, const Now *now);
