/* SPDX-License-Identifier: Apache-2.0 */
#include "voice/speech.h"

#include <math.h>

#define LEVEL_MIN  (-96.0F)
#define SETTLE     4      /* frames: a microphone that was just opened clicks */
#define ON         9.0F   /* dB above the room: speech begins */
#define OFF        6.0F   /* and goes on */
#define LEAST      -66.0F /* dBFS: nothing below is speech, however quiet the room is */
#define BEGIN      5      /* frames in a row, 80 ms: no click, no key */
#define PAUSE      38     /* frames, 608 ms: longer than any pause in a sentence */
#define BEFORE     8      /* frames kept of what comes before; consonants are quiet */
#define AFTER      4
#define LINGER     312   /* frames, 5 s: whoever was not understood comes to an end */
#define LINGERED   25    /* frames of silence after it */
#define SHORTEST   44    /* frames from the first to the last, 0.7 s */
#define CLIPPED    32440 /* a sample of this size is at the end of the scale */
#define CLIPPED_IN 500   /* one of so many is too many */
#define STEADY     6.0F  /* dB between loud and quiet frames: syllables differ by more */
#define SNR        10.0F /* dB */

float speech_level(const int16_t *samples, size_t n) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += (double)samples[i] * samples[i];
        if (sum == 0)
                return LEVEL_MIN;
        float level = (float)(10 * log10(sum / (double)n / (32768.0 * 32768.0)));
        return MAX(level, LEVEL_MIN);
}

static int compare_levels(const void *a, const void *b) {
        float x = *(const float *)a, y = *(const float *)b;

        return (x > y) - (x < y);
}

/* The level that so many percent of these are below. */
static float percentile(const float *levels, unsigned n, unsigned percent) {
        float sorted[SPEECH_FRAMES_MAX];

        memcpy(sorted, levels, n * sizeof(*levels));
        qsort(sorted, n, sizeof(*sorted), compare_levels);
        float r = sorted[(n - 1) * percent / 100];
        explicit_bzero(sorted, sizeof(sorted));
        return r;
}

void speech_begin(Speech *s, SpeechLimits limits) {
        explicit_bzero(s, sizeof(*s));
        s->limits = limits;
        s->floor = LEVEL_MIN;
}

SpeechVerdict speech_hear_room(Speech *s, const int16_t frame[UTTERANCE_HOP]) {
        s->n_ambient++;
        if (s->n_ambient > SETTLE)
                s->ambient[s->n_ambient - SETTLE - 1] = speech_level(frame, UTTERANCE_HOP);
        if (s->n_ambient < SETTLE + ARRAY_SIZE(s->ambient))
                return SPEECH_LISTENING;
        /* Not the mean: one click is no noise, and a room that is heard between two words is quiet. */
        s->floor = percentile(s->ambient, ARRAY_SIZE(s->ambient), 50);
        s->n_ambient = 0;
        return s->floor > (float)s->limits.noise_dbfs ? SPEECH_NOISE : SPEECH_HEARD;
}

void speech_listen(Speech *s) {
        explicit_bzero(s->samples, sizeof(s->samples));
        explicit_bzero(s->levels, sizeof(s->levels));
        s->lingering = s->speaking && s->silent < PAUSE ? LINGER : 0;
        s->speaking = false;
        s->voiced = s->silent = s->first = s->last = s->n_frames = 0;
}

/* --- judgement --- */

static bool is_overdriven(const Speech *s) {
        const int16_t *samples = s->samples + (size_t)s->first * UTTERANCE_HOP;
        size_t n = (size_t)(s->last + 1 - s->first) * UTTERANCE_HOP, clipped = 0;

        for (size_t i = 0; i < n; i++)
                clipped += abs(samples[i]) >= CLIPPED;
        return clipped * CLIPPED_IN > n;
}

static SpeechVerdict judge(const Speech *s, bool ended) {
        const float *levels = s->levels + s->first;
        unsigned n = s->last + 1 - s->first;
        float loud = percentile(levels, n, 90), quiet = percentile(levels, n, 15);

        /* What goes on and on at one level, and nobody says that. */
        if (n >= SHORTEST && loud - quiet < STEADY)
                return SPEECH_NOISE;
        if (is_overdriven(s))
                return SPEECH_TOO_LOUD;
        if (!ended || n > UTTERANCE_MAX - AFTER)
                return SPEECH_TOO_LONG;
        if (n < SHORTEST)
                return SPEECH_TOO_SHORT;
        if (loud < (float)s->limits.quiet_dbfs)
                return SPEECH_TOO_QUIET;
        return loud - s->floor < SNR ? SPEECH_NOISE : SPEECH_HEARD;
}

/* --- while somebody is to speak --- */

static void keep(Speech *s, const int16_t *frame, float level) {
        memcpy(s->samples + (size_t)s->n_frames * UTTERANCE_HOP, frame, UTTERANCE_HOP * sizeof(*frame));
        s->levels[s->n_frames++] = level;
}

/* Of what comes before speech only the last frames are kept. */
static void forget_oldest(Speech *s) {
        unsigned most = BEFORE + BEGIN, surplus = s->n_frames > most ? s->n_frames - most : 0;

        if (!surplus)
                return;
        s->n_frames = most;
        memmove(s->samples, s->samples + (size_t)surplus * UTTERANCE_HOP,
                (size_t)most * UTTERANCE_HOP * sizeof(*s->samples));
        memmove(s->levels, s->levels + surplus, most * sizeof(*s->levels));
}

/* The room changes slowly: an engine that starts is heard at first, a fan that stops at once. */
static void follow_room(Speech *s, float level) {
        if (level < s->floor)
                s->floor += 0.2F * (level - s->floor);
        else if (level < s->floor + ON)
                s->floor += 0.02F * (level - s->floor);
}

static SpeechVerdict wait_for_speech(Speech *s, float level) {
        s->voiced = level > MAX(s->floor + ON, LEAST) ? s->voiced + 1 : 0;
        if (s->voiced < BEGIN) {
                if (!s->voiced)
                        follow_room(s, level);
                forget_oldest(s);
                return SPEECH_LISTENING;
        }
        forget_oldest(s);
        s->speaking = true;
        s->last = s->n_frames - 1;
        s->first = s->n_frames - BEGIN;
        return SPEECH_LISTENING;
}

static void linger(Speech *s, bool voiced) {
        s->silent = voiced ? 0 : s->silent + 1;
        s->lingering--;
        if (s->silent < LINGERED && s->lingering)
                return;
        s->lingering = s->silent = 0;
}

SpeechVerdict speech_hear(Speech *s, const int16_t frame[UTTERANCE_HOP]) {
        float level = speech_level(frame, UTTERANCE_HOP);
        bool voiced = level > MAX(s->floor + OFF, LEAST);

        if (s->lingering) {
                linger(s, voiced);
                return SPEECH_LISTENING;
        }
        keep(s, frame, level);
        if (!s->speaking)
                return wait_for_speech(s, level);
        if (voiced) {
                s->last = s->n_frames - 1;
                s->silent = 0;
        } else
                s->silent++;
        if (s->silent >= PAUSE)
                return judge(s, true);
        return s->n_frames == SPEECH_FRAMES_MAX ? judge(s, false) : SPEECH_LISTENING;
}

const int16_t *speech_samples(const Speech *s, size_t *ret_n) {
        unsigned first = s->first > 2 ? s->first - 2 : 0, last = MIN(s->last + AFTER, s->n_frames - 1);

        *ret_n = (size_t)MIN(last + 1 - first, (unsigned)UTTERANCE_MAX) * UTTERANCE_HOP;
        return s->samples + (size_t)first * UTTERANCE_HOP;
}

unsigned speech_quality(const Speech *s) {
        float snr = percentile(s->levels + s->first, s->last + 1 - s->first, 90) - s->floor;

        return snr <= 1 ? 1 : snr >= 50 ? 100 : (unsigned)(2 * snr);
}
