/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolments under way. */
#pragma once

#include "people/people.h"

/* At the end of the daemon: whoever waits is told that it has not happened. */
void enrolments_give_up(People *p);
