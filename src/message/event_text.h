/* SPDX-License-Identifier: Apache-2.0 */
/* The short way to an event's message: nearly all of them consist of plain words and whole numbers, which
 * need no tree of objects to be put together. A drain of weeks is a long row of these. Whatever is not as
 * plain goes the long way, in compose.c, and both ways end in the same text. */
#pragma once

#include "message/compose.h"

/* 1; 0: not plain, nothing is known of it yet; -ENOMEM. The text is fresh memory, in one piece of its final
 * size: a buffer that grows would leave copies of a code behind. */
int event_text(const char *cabinet, const EventMessage *e, char **ret);
