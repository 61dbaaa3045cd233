/* SPDX-License-Identifier: Apache-2.0 */
/* How unlike two utterances are: dynamic time warping of their cepstra and the slopes of these. Pure. */
#pragma once

#include "voice/utterance.h"

#define COMPARE_FAR 1000 /* as far apart as it counts */

/* 0 … COMPARE_FAR: hundredths of the mean distance between frames that belong together. The same both ways.
 * Utterances of which one is more than twice as long as the other are COMPARE_FAR apart. */
unsigned compare_utterances(const Utterance *a, const Utterance *b);
/* Of an utterance to several of one person. */
unsigned compare_with(const Utterance *said, const Utterance *known, unsigned n);
