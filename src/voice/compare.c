/* SPDX-License-Identifier: Apache-2.0 */
#include "voice/compare.h"

#include <math.h>
#include <stdbool.h>

#define SLOPE      2 /* frames to each side that a slope is of */
#define DIMENSIONS (2 * UTTERANCE_COEFFICIENTS)
#define SLOPES     2.0F /* how much they count beside the cepstra */

typedef struct Track {
        unsigned n;
        float frames[UTTERANCE_MAX][DIMENSIONS];
} Track;

static const int16_t *frame_at(const Utterance *u, int i) {
        int last = (int)u->n - 1;

        return u->cepstra[i < 0 ? 0 : i > last ? last : i];
}

static void expand(const Utterance *u, Track *ret) {
        ret->n = u->n;
        for (int i = 0; i < (int)u->n; i++)
                for (int k = 0; k < UTTERANCE_COEFFICIENTS; k++) {
                        float slope = 0;
                        for (int d = 1; d <= SLOPE; d++)
                                slope += (float)(d * (frame_at(u, i + d)[k] - frame_at(u, i - d)[k]));
                        ret->frames[i][k] = (float)u->cepstra[i][k] / UTTERANCE_SCALE;
                        ret->frames[i][UTTERANCE_COEFFICIENTS + k] = SLOPES * slope / 10 / UTTERANCE_SCALE;
                }
}

static float frame_distance(const float *a, const float *b) {
        float sum = 0;

        for (int k = 0; k < DIMENSIONS; k++)
                sum += (a[k] - b[k]) * (a[k] - b[k]);
        return sqrtf(sum);
}

static float least(float a, float b, float c) {
        return fminf(a, fminf(b, c));
}

/* The cheapest way from both beginnings to both ends; a step in both counts twice, so that each way has the
 * length a->n + b->n. */
static float warp(const Track *a, const Track *b) {
        float rows[2][UTTERANCE_MAX + 1];

        for (unsigned j = 0; j <= b->n; j++)
                rows[0][j] = INFINITY;
        rows[0][0] = 0;
        for (unsigned i = 1; i <= a->n; i++) {
                const float *before = rows[(i - 1) % 2];
                float *now = rows[i % 2];
                now[0] = INFINITY;
                for (unsigned j = 1; j <= b->n; j++) {
                        float d = frame_distance(a->frames[i - 1], b->frames[j - 1]);
                        now[j] = least(before[j - 1] + 2 * d, before[j] + d, now[j - 1] + d);
                }
        }
        float total = rows[a->n % 2][b->n];
        explicit_bzero(rows, sizeof(rows));
        return total / (float)(a->n + b->n);
}

unsigned compare_utterances(const Utterance *a, const Utterance *b) {
        Track x, y;

        expand(a, &x);
        expand(b, &y);
        float d = 100 * warp(&x, &y);
        explicit_bzero(&x, sizeof(x));
        explicit_bzero(&y, sizeof(y));
        bool far = a->n > 2 * b->n || b->n > 2 * a->n || !(d < COMPARE_FAR);
        return far ? COMPARE_FAR : (unsigned)(d + 0.5F);
}

unsigned compare_with(const Utterance *said, const Utterance *known, unsigned n) {
        unsigned sum = 0;

        for (unsigned i = 0; i < n; i++)
                sum += compare_utterances(said, &known[i]);
        return n ? (sum + n / 2) / n : COMPARE_FAR;
}
