/* SPDX-License-Identifier: Apache-2.0 */
#include "voice/cepstra.h"

#include <aubio/aubio.h>
#include <math.h>

#define FILTERS 40 /* what aubio has measured values for; the speech of a telephone and a little more */

struct Cepstra {
        aubio_pvoc_t *spectrum;
        aubio_mfcc_t *cepstra;
        fvec_t *in, *out;
        cvec_t *bins;
};

Cepstra *cepstra_free(Cepstra *f) {
        if (!f)
                return NULL;
        if (f->spectrum)
                del_aubio_pvoc(f->spectrum);
        if (f->cepstra)
                del_aubio_mfcc(f->cepstra);
        if (f->in)
                del_fvec(f->in);
        if (f->out)
                del_fvec(f->out);
        if (f->bins)
                del_cvec(f->bins);
        free(f);
        return NULL;
}

Cepstra *cepstra_new(void) {
        _cleanup_(cepstra_freep) Cepstra *f = calloc(1, sizeof(*f));

        if (!f)
                return NULL;
        f->spectrum = new_aubio_pvoc(UTTERANCE_WINDOW, UTTERANCE_HOP);
        /* The first coefficient is the loudness, which is the microphone's. */
        f->cepstra = new_aubio_mfcc(UTTERANCE_WINDOW, FILTERS, UTTERANCE_COEFFICIENTS + 1, UTTERANCE_RATE);
        f->in = new_fvec(UTTERANCE_HOP);
        f->out = new_fvec(UTTERANCE_COEFFICIENTS + 1);
        f->bins = new_cvec(UTTERANCE_WINDOW);
        return f->spectrum && f->cepstra && f->in && f->out && f->bins ? steal_ptr(f) : NULL;
}

static void next(Cepstra *f) {
        aubio_pvoc_do(f->spectrum, f->in, f->bins);
        aubio_mfcc_do(f->cepstra, f->bins, f->out);
}

/* Two hops of nothing fill the window, and whatever is computed of it. */
static void overwrite(Cepstra *f) {
        fvec_zeros(f->in);
        for (unsigned i = 0; i < UTTERANCE_WINDOW / UTTERANCE_HOP + 1; i++)
                next(f);
}

static int16_t as_integer(float v) {
        float scaled = v * UTTERANCE_SCALE;

        return (int16_t)(scaled > INT16_MAX ? INT16_MAX : scaled < -INT16_MAX ? -INT16_MAX : lrintf(scaled));
}

/* What the microphone, the room and the distance do to all frames alike is in the mean. */
static void subtract_mean(float frames[][UTTERANCE_COEFFICIENTS], Utterance *ret) {
        for (unsigned k = 0; k < UTTERANCE_COEFFICIENTS; k++) {
                float mean = 0;
                for (unsigned i = 0; i < ret->n; i++)
                        mean += frames[i][k];
                mean /= (float)ret->n;
                for (unsigned i = 0; i < ret->n; i++)
                        ret->cepstra[i][k] = as_integer(frames[i][k] - mean);
        }
}

void cepstra_of(Cepstra *f, const int16_t *samples, size_t n_samples, Utterance *ret) {
        float frames[UTTERANCE_MAX][UTTERANCE_COEFFICIENTS] = {0};

        ret->n = (unsigned)MIN(n_samples / UTTERANCE_HOP, (size_t)UTTERANCE_MAX);
        for (unsigned i = 0; i < ret->n; i++) {
                for (unsigned k = 0; k < UTTERANCE_HOP; k++)
                        f->in->data[k] = (float)samples[i * UTTERANCE_HOP + k] / 32768;
                next(f);
                for (unsigned k = 0; k < UTTERANCE_COEFFICIENTS; k++)
                        frames[i][k] = f->out->data[k + 1];
        }
        subtract_mean(frames, ret);
        explicit_bzero(frames, sizeof(frames));
        overwrite(f);
}
