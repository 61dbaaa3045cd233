/* SPDX-License-Identifier: Apache-2.0 */
/* Out: answers. */
#pragma once

#include "core/refusal.h"
#include "sync/sync.h"
#include <jansson.h>

typedef struct Running Running;

bool answer_topic_is_fine(const Sync *s, const char *response_topic); /* "": the cabinet's own is taken */
void answer_send(Sync *s, const char *response_topic, const char *correlation, const char *answer);
/* Exactly once per running command. result is stolen; a code in it is sealed where that is configured. */
void command_answer(Running *r, int refusal_or_errno, const char *detail, json_t *result);
void answers_save(Sync *s); /* those that could not be stored */
void answers_done(Sync *s);
