/* SPDX-License-Identifier: Apache-2.0 */
/* A person's errand. */
#pragma once

#include "sync/sync.h"
#include <jansson.h>

typedef struct Running Running;

void command_deposit(Running *r, const json_t *a);
void command_collect(Running *r, const json_t *a);
void command_take_back(Running *r, const json_t *a);
void command_session(Running *r, const json_t *a); /* accept, reject, … end: those that name a session */
void command_prompt(Sync *s, const Session *session, int slot, unsigned position, const char *what,
                    const char *sentence);
