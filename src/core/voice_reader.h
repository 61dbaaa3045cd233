/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker of a microphone has to know ([Reader voice] of cabinet.conf): plain data without pointers,
 * which is also what it is sent (IdentityReader.setup). */
#pragma once

#include <stdint.h>

typedef struct VoiceReader {
        uint32_t threshold; /* hundredths, as src/voice/compare.h counts: so unlike is the same still */
        uint32_t noise_db;  /* below full scale: the loudest room in which anybody is heard */
        uint32_t quiet_db;  /* likewise: the quietest speech */
} VoiceReader;

#define VOICE_THRESHOLD_MIN     100
#define VOICE_THRESHOLD_DEFAULT 200 /* docs/identity.md */
#define VOICE_THRESHOLD_MAX     300
#define VOICE_NOISE_DEFAULT     40
#define VOICE_QUIET_DEFAULT     45
#define VOICE_LEVEL_MIN         10 /* dB below full scale */
#define VOICE_LEVEL_MAX         70
