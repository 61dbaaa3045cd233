/* SPDX-License-Identifier: Apache-2.0 */
/* What a command does. */
#pragma once

#include "locker/locker.h"
#include <jansson.h>

typedef struct Running Running;

/* Of a command that is known and whose arguments are in order. Answers now or later through
 * command_answer(). */
void command_run(Running *r);
int command_deposit_request(const json_t *a, DepositRequest *ret); /* -EINVAL */
