/* SPDX-License-Identifier: Apache-2.0 */
/* What lockerd-voice makes of recordings: voice-scores FILE… (16 kHz, one channel, 16 bits; without a header)
 * prints for each file what was heard, frames and quality, then the distance of each to each. */
#include "base/clock.h"
#include "voice/compare.h"
#include "voice/cepstra.h"
#include "voice/speech.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const verdicts[] = {"nothing",  "heard",     "too-short", "too-long",
                                       "too-loud", "too-quiet", "noise"};

static double processor(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static SpeechVerdict listen_to(FILE *f, Speech *s) {
        SpeechVerdict verdict = SPEECH_LISTENING;
        int16_t frame[UTTERANCE_HOP];
        bool room = true;

        speech_begin(s, (SpeechLimits){.noise_dbfs = -40, .quiet_dbfs = -45});
        while (verdict == SPEECH_LISTENING &&
               fread(frame, sizeof(*frame), UTTERANCE_HOP, f) == UTTERANCE_HOP) {
                verdict = room ? speech_hear_room(s, frame) : speech_hear(s, frame);
                if (room && verdict == SPEECH_HEARD) {
                        room = false;
                        verdict = SPEECH_LISTENING;
                        speech_listen(s);
                }
        }
        return verdict;
}

int main(int argc, char *argv[]) {
        unsigned n = (unsigned)argc - 1;
        Utterance *all = calloc(n + 1, sizeof(*all));
        _cleanup_(cepstra_freep) Cepstra *cepstra = cepstra_new();
        static Speech s;
        double spent = 0;

        if (!all || !cepstra || !n)
                return EXIT_FAILURE;
        for (unsigned i = 0; i < n; i++) {
                FILE *f = fopen(argv[i + 1], "re");
                if (!f) {
                        perror(argv[i + 1]);
                        return EXIT_FAILURE;
                }
                SpeechVerdict verdict = listen_to(f, &s);
                fclose(f);
                if (verdict == SPEECH_HEARD) {
                        size_t n_samples;
                        const int16_t *samples = speech_samples(&s, &n_samples);
                        double began = processor();
                        cepstra_of(cepstra, samples, n_samples, &all[i]);
                        spent += processor() - began;
                }
                printf("%s %u %u\n", verdicts[verdict], all[i].n, all[i].n ? speech_quality(&s) : 0);
        }
        double began = processor();
        for (unsigned i = 0; i < n; i++)
                for (unsigned k = 0; k < n; k++)
                        printf("%u%c",
                               all[i].n && all[k].n ? compare_utterances(&all[i], &all[k]) : COMPARE_FAR,
                               k + 1 < n ? ' ' : '\n');
        fprintf(stderr, "cepstra %.2f ms, comparison %.3f ms\n", spent / n, (processor() - began) / n / n);
        free(all);
        return EXIT_SUCCESS;
}
