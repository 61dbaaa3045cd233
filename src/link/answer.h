/* SPDX-License-Identifier: Apache-2.0 */
/* What the cabinet says to a handheld: the wire's answers and prompts to JSON text, without what belongs to a
 * code being left behind in memory. Pure. */
#pragma once

#include "link/setup.h"
#include "link/wire.h"

/* Fresh, to be erased; NULL: no memory. */
char *link_answer_text(int64_t id, const LinkWireAnswer *a);
/* A refusal that the worker gives by itself. sentence: NULL for the refusal's own. */
char *link_refusal_text(int64_t id, unsigned refusal, const char *sentence);
char *link_prompt_text(const LinkWirePrompt *p);
/* Whom the handheld speaks with, and who the cabinet takes it for. courier: "": nobody. */
char *link_hello_text(int64_t id, const LinkSetup *s, const char *courier, const LinkWireClock *clock);
