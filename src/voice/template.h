/* SPDX-License-Identifier: Apache-2.0 */
/* A stored passphrase: what is kept of several utterances of it. Sixteen bytes, big-endian: 'V' 'O', version,
 * source (how the features were made: 1), number of utterances, three zeros, length of what follows (4),
 * CRC-32 of it (4). Then for each utterance its number of frames (2) and their coefficients (2 each). Pure.
 */
#pragma once

#include "voice/utterance.h"

#define TEMPLATE_HEADER     16
#define TEMPLATE_UTTERANCES 3
#define TEMPLATE_MAX \
        (TEMPLATE_HEADER + TEMPLATE_UTTERANCES * (2 + UTTERANCE_MAX * UTTERANCE_COEFFICIENTS * 2))

typedef struct Template {
        unsigned n;
        Utterance utterances[TEMPLATE_UTTERANCES];
} Template;

/* Its length. */
size_t template_write(const Template *t, uint8_t ret[TEMPLATE_MAX]);
/* 0 and *ret; -EINVAL: it is none, or damaged; -EXDEV: its features were made in another way. */
int template_read(const uint8_t *data, size_t n, Template *ret);
