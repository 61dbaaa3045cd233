/* SPDX-License-Identifier: Apache-2.0 */
/* Where speech begins and ends in what a microphone hears, and whether it is any use. Pure: frames of
 * UTTERANCE_HOP samples go in, one after the other.
 *
 * Levels are root mean squares in dBFS: 0 is a square wave at full scale, a quiet room is at -60 or below,
 * somebody who speaks half a metre away at -30 to -15. */
#pragma once

#include "voice/utterance.h"
#include <stdbool.h>

#define SPEECH_FRAMES_MAX  (UTTERANCE_MAX + 60) /* with what comes before it, and the silence that ends it */
#define SPEECH_SAMPLES_MAX (SPEECH_FRAMES_MAX * UTTERANCE_HOP)

typedef enum SpeechVerdict {
        SPEECH_LISTENING, /* nothing yet, or not to its end */
        SPEECH_HEARD,
        SPEECH_TOO_SHORT,
        SPEECH_TOO_LONG,
        SPEECH_TOO_LOUD,  /* the microphone is overdriven */
        SPEECH_TOO_QUIET, /* too far away, or whispered */
        SPEECH_NOISE,     /* it is too noisy here, or what was heard is no speech */
} SpeechVerdict;

typedef struct SpeechLimits {
        int noise_dbfs; /* what is heard when nobody speaks, at most */
        int quiet_dbfs; /* speech, at least */
} SpeechLimits;

typedef struct Speech {
        SpeechLimits limits;
        unsigned n_ambient; /* frames heard before anybody is to speak */
        float ambient[24];  /* their levels */
        float floor;        /* dBFS: what is heard when nobody speaks */
        unsigned lingering; /* frames: somebody goes on speaking, and is not listened to so long at most */
        bool speaking;
        unsigned voiced, silent; /* frames in a row that are speech, or none */
        unsigned first, last;    /* of the frames kept: the first and the last one of speech */
        unsigned n_frames;
        float levels[SPEECH_FRAMES_MAX];
        int16_t samples[SPEECH_SAMPLES_MAX];
} Speech;

/* Begins with the room alone. */
void speech_begin(Speech *s, SpeechLimits limits);
/* One more frame of that. SPEECH_LISTENING: another one; SPEECH_HEARD: the room is known; SPEECH_NOISE. */
SpeechVerdict speech_hear_room(Speech *s, const int16_t frame[UTTERANCE_HOP]);
/* From now on somebody is to speak: whoever had not come to an end does so first. What was kept is erased. */
void speech_listen(Speech *s);
/* One more frame. Anything but SPEECH_LISTENING is the end: speech_listen() comes next. */
SpeechVerdict speech_hear(Speech *s, const int16_t frame[UTTERANCE_HOP]);
/* After SPEECH_HEARD: the utterance, with a little of what is around it. */
const int16_t *speech_samples(const Speech *s, size_t *ret_n);
/* How far it stands out of the room, 1 … 100: dB of signal to noise, doubled. */
unsigned speech_quality(const Speech *s);

float speech_level(const int16_t *samples, size_t n); /* dBFS, not below -96 */
