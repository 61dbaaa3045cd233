/* SPDX-License-Identifier: Apache-2.0 */
/* Reminders and recall requests. */
#pragma once

#include "people/people.h"

int reminders_begin(People *p);
int reminders_adopt(People *p); /* what was written before the start */
void reminders_tick(People *p, const Now *now);
uint64_t reminders_next_deadline(const People *p);
