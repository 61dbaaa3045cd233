/* SPDX-License-Identifier: Apache-2.0 */
/* A stored fingerprint: which type of module has made it, and the bytes that only such a module understands.
 * Eight bytes before them, big-endian: 'F' 'P', version, source, system id, length. Pure. */
#pragma once

#include "base/macros.h"
#include <stdint.h>

#define TEMPLATE_HEADER   8
#define TEMPLATE_CODE_MIN 64 /* bytes of what the module understands */
#define TEMPLATE_CODE_MAX 4096
#define TEMPLATE_MAX      (TEMPLATE_HEADER + TEMPLATE_CODE_MAX)

typedef struct Template {
        unsigned system_id; /* of the module, as ReadSysPara says */
        const uint8_t *code;
        size_t n;
} Template;

/* Its length. t->n: TEMPLATE_CODE_MIN … TEMPLATE_CODE_MAX. */
size_t template_write(const Template *t, uint8_t ret[TEMPLATE_MAX]);
/* 0 and *ret, which points into data; -EINVAL: it is none; -EXDEV: it is one of another kind of reader. */
int template_read(const uint8_t *data, size_t n, Template *ret);
