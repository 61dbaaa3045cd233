/* SPDX-License-Identifier: Apache-2.0 */
/* Cepstra of an utterance, by aubio. */
#pragma once

#include "voice/utterance.h"

typedef struct Cepstra Cepstra;

/* NULL: no memory. */
Cepstra *cepstra_new(void);
Cepstra *cepstra_free(Cepstra *f);
DEFINE_CLEANUP(Cepstra *, cepstra_free);
/* n_samples: UTTERANCE_MIN … UTTERANCE_MAX hops. What the library keeps of it is overwritten. */
void cepstra_of(Cepstra *f, const int16_t *samples, size_t n_samples, Utterance *ret);
