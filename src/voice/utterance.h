/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of something that was said: cepstra, a frame each 16 ms, relative to their mean over the
 * utterance. Plain data, and bounded. */
#pragma once

#include "base/macros.h"
#include <stdint.h>

#define UTTERANCE_RATE         16000 /* samples a second, one channel, 16 bits with sign */
#define UTTERANCE_HOP          256   /* samples from frame to frame: 16 ms */
#define UTTERANCE_WINDOW       512   /* that a frame looks at */
#define UTTERANCE_COEFFICIENTS 12
#define UTTERANCE_SCALE        1000 /* of a coefficient, as an integer */
#define UTTERANCE_MIN          24   /* frames */
#define UTTERANCE_MAX          250  /* 4 s */

typedef struct Utterance {
        unsigned n; /* frames, UTTERANCE_MIN … UTTERANCE_MAX */
        int16_t cepstra[UTTERANCE_MAX][UTTERANCE_COEFFICIENTS];
} Utterance;
