/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-voice: one microphone, through ALSA. main.c speaks with the daemon, microphone.c has the device,
 * speech.c finds what is said in it, cepstra.c makes of that what is compared (compare.c) and stored
 * (template.c), attempt.c enrols and verifies.
 *
 * The process does one thing after the other. Whatever waits, waits in worker_wait(), which hears the daemon
 * meanwhile: pings are answered, and a cancelled attempt ends at its next step. The microphone is open during
 * an attempt only, and nothing that it hears is kept longer, nor written anywhere. */
#pragma once

#include "identity/matcher_end.h"
#include "voice/cepstra.h"
#include "voice/speech.h"
#include "voice/template.h"

#include <alsa/asoundlib.h>

typedef struct Worker {
        MatcherEnd end;    /* setup.device: the name of a PCM, as ALSA has it */
        snd_pcm_t *pcm;    /* NULL: not open */
        uint64_t heard;    /* boot µs at which the last samples came */
        bool idle;         /* between attempts: whatever the daemon says ends a wait */
        uint64_t probe_at; /* boot µs: when it is looked whether the microphone is there */
        Cepstra *cepstra;
        SpeechLimits limits;
        unsigned threshold; /* COMPARE_FAR: everything is alike */
        /* What was heard, and what is compared with it. Erased after each attempt. */
        Speech speech;
        Utterance said;
        Template template;
        uint8_t written[TEMPLATE_MAX];
} Worker;

/* --- main.c --- */
/* Until the microphone has something: 1; until boot µs `until`: 0; when idle, also when the daemon has said
 * something: 0. STEP_LEAVING. */
int worker_wait(Worker *w, uint64_t until);

/* --- microphone.c: steps --- */
/* What is configured of ALSA is read. Before rights are given up. 0 or negative errno. */
int microphone_prepare(void);
/* Is it there? Says what comes of it. */
int microphone_look(Worker *w);
/* Opens it, and begins to listen. */
int microphone_open(Worker *w);
void microphone_close(Worker *w);
/* The next samples, all of them after those before. MATCHER_PROBLEM_POOR_SAMPLE: some were lost, and it goes
 * on with later ones. */
int microphone_frame(Worker *w, int16_t ret[UTTERANCE_HOP]);

/* --- attempt.c --- */
void attempt_run(Worker *w); /* to its RESULT */
