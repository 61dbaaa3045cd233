/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored as a voice's template, and anything that a microphone may hear. */
#include "voice/speech.h"
#include "voice/template.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good) {
        if (!good)
                abort();
}

static void as_template(const uint8_t *data, size_t size) {
        static Template t;
        static uint8_t again[TEMPLATE_MAX];
        int r = template_read(data, size, &t);

        expect(r == 0 || r == -EINVAL || r == -EXDEV);
        if (r < 0)
                return;
        /* What is believed is what would be stored. */
        expect(t.n == TEMPLATE_UTTERANCES && template_write(&t, again) == size &&
               memcmp(again, data, size) == 0);
}

/* Random bytes hardly ever have a right checksum: their lengths are tried in a template that is written. */
static void as_lengths(const uint8_t *data, size_t size) {
        static Template t;
        static uint8_t written[TEMPLATE_MAX];

        t.n = data[0] % (TEMPLATE_UTTERANCES + 1);
        for (unsigned i = 0; i < t.n; i++)
                t.utterances[i].n = data[(i + 1) % size] % (UTTERANCE_MAX + 1);
        as_template(written, template_write(&t, written));
}

static void as_sound(const uint8_t *data, size_t size) {
        static Speech s;
        int16_t frame[UTTERANCE_HOP];
        bool room = true;

        speech_begin(&s, (SpeechLimits){.noise_dbfs = -40, .quiet_dbfs = -45});
        for (size_t i = 0; i < size && i < 400; i++) {
                int loud = data[i] * data[i] / 2;
                for (int k = 0; k < UTTERANCE_HOP; k++)
                        frame[k] = (int16_t)(k % 3 ? loud : -loud);
                SpeechVerdict v = room ? speech_hear_room(&s, frame) : speech_hear(&s, frame);
                expect(s.n_frames <= SPEECH_FRAMES_MAX && s.first <= s.last + 1);
                if (v == SPEECH_LISTENING)
                        continue;
                if (!room && v == SPEECH_HEARD) {
                        size_t n;
                        const int16_t *samples = speech_samples(&s, &n);
                        unsigned quality = speech_quality(&s);
                        expect(n >= UTTERANCE_MIN * UTTERANCE_HOP && n <= UTTERANCE_MAX * UTTERANCE_HOP);
                        expect(samples >= s.samples && samples + n <= s.samples + SPEECH_SAMPLES_MAX);
                        expect(quality >= 1 && quality <= 100);
                }
                if (room && v == SPEECH_HEARD)
                        room = false;
                if (!room)
                        speech_listen(&s);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        as_template(data, size);
        if (size > 0 && data[size / 2] % 8 == 0) /* it takes a hundred times as long */
                as_sound(data, size);
        if (size > 0)
                as_lengths(data, size);
        return 0;
}
