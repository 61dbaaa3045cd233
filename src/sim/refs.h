/* SPDX-License-Identifier: Apache-2.0 */
/* The short forms of cabinet.conf: ranges of names ("01-06", "P1-P4", "P1-P2/1-6") and of channels
 * ("A:1-6,B:2"). */
#pragma once

#include "base/macros.h"

typedef struct Names {
        char **names;
        size_t n;
} Names;

typedef struct Ref {
        char *board;
        unsigned channel; /* from 1, as written */
} Ref;

typedef struct Refs {
        Ref *refs;
        size_t n;
} Refs;

/* The labels of a [Slot …], or the "label/number" names of a [Position …]. Anything but a range is one
 * name. 0, -EINVAL, -ENOMEM; names_clear() in any case. */
int names_parse(const char *text, Names *ret);
void names_clear(Names *n);
int refs_parse(const char *text, Refs *ret); /* 0, -EINVAL, -ENOMEM */
void refs_clear(Refs *r);
