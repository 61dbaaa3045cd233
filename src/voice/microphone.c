/* SPDX-License-Identifier: Apache-2.0 */
/* The microphone: a PCM of ALSA's that is opened for an attempt, and closed after it. */
#include "voice/worker.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

#define PERIOD 320              /* samples, 20 ms */
#define BUFFER (UTTERANCE_RATE) /* a second: what a busy machine may be late */
#define SILENT (2 * USEC_PER_SEC)

/* The library says it on standard error, once for each way that it tries. */
static void say_nothing(const char *file, int line, const char *function, int error, const char *format,
                        ...) {
}

int microphone_prepare(void) {
        (void)snd_lib_error_set_handler(say_nothing);
        int r = snd_config_update();
        return r < 0 ? log_error_errno(r, "Cannot read ALSA's configuration") : 0;
}

static MatcherProblem problem_of(int error) {
        switch (-error) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
                return MATCHER_PROBLEM_MISSING;
        case EBUSY:
        case EAGAIN:
                return MATCHER_PROBLEM_BUSY;
        default:
                return MATCHER_PROBLEM_REFUSES;
        }
}

/* Once, until it is another problem. */
static int failed(const Worker *w, MatcherProblem problem, int error, const char *what) {
        if (!w->end.health_told || w->end.health.problem != problem)
                log_warning("Reader %s: %s %s: %s", w->end.setup.name, what, w->end.setup.device,
                            snd_strerror(error));
        return (int)problem;
}

static int open_pcm(Worker *w) {
        int r = snd_pcm_open(&w->pcm, w->end.setup.device, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK);

        if (r >= 0)
                return 0;
        w->pcm = NULL;
        return failed(w, problem_of(r), r, "cannot open");
}

/* 16 kHz, one channel, 16 bits: a PCM that converts (plughw:) can always do that. */
static int set_up(snd_pcm_t *pcm) {
        unsigned rate = UTTERANCE_RATE;
        snd_pcm_uframes_t period = PERIOD, buffer = BUFFER;
        snd_pcm_hw_params_t *p;

        snd_pcm_hw_params_alloca(&p);
        int r = snd_pcm_hw_params_any(pcm, p);
        if (r >= 0)
                r = snd_pcm_hw_params_set_access(pcm, p, SND_PCM_ACCESS_RW_INTERLEAVED);
        if (r >= 0)
                r = snd_pcm_hw_params_set_format(pcm, p, SND_PCM_FORMAT_S16);
        if (r >= 0)
                r = snd_pcm_hw_params_set_channels(pcm, p, 1);
        if (r >= 0)
                r = snd_pcm_hw_params_set_rate(pcm, p, rate, 0);
        if (r >= 0)
                r = snd_pcm_hw_params_set_period_size_near(pcm, p, &period, NULL);
        if (r >= 0)
                r = snd_pcm_hw_params_set_buffer_size_near(pcm, p, &buffer);
        if (r >= 0)
                r = snd_pcm_hw_params(pcm, p);
        return r;
}

static void tell_well(Worker *w) {
        char detail[MATCHER_DETAIL_MAX];
        snd_pcm_info_t *info;

        snd_pcm_info_alloca(&info);
        const char *name = snd_pcm_info(w->pcm, info) >= 0 ? snd_pcm_info_get_name(info) : "";
        snprintf(detail, sizeof(detail), "%.48s%s%.40s", w->end.setup.device, *name ? ": " : "", name);
        for (char *c = detail; *c; c++)
                if (*c < ' ' || *c > '~')
                        *c = '?';
        matcher_end_health(&w->end, MATCHER_PROBLEM_NONE, detail);
}

int microphone_look(Worker *w) {
        int step = open_pcm(w);

        if (!step) {
                int r = set_up(w->pcm);
                if (r < 0)
                        step = failed(w, MATCHER_PROBLEM_UNSUITABLE, r,
                                      "16 kHz, one channel, 16 bits cannot be had from");
        }
        if (step)
                matcher_end_health(&w->end, (MatcherProblem)step, w->end.setup.device);
        else
                tell_well(w);
        microphone_close(w);
        return step;
}

int microphone_open(Worker *w) {
        int step = open_pcm(w);

        if (step)
                return step;
        int r = set_up(w->pcm);
        if (r < 0)
                return failed(w, MATCHER_PROBLEM_UNSUITABLE, r,
                              "16 kHz, one channel, 16 bits cannot be had from");
        r = snd_pcm_start(w->pcm);
        if (r < 0)
                return failed(w, problem_of(r), r, "cannot listen to");
        tell_well(w);
        w->heard = clock_now().boot_usec;
        return 0;
}

void microphone_close(Worker *w) {
        if (!w->pcm)
                return;
        (void)snd_pcm_drop(w->pcm);
        (void)snd_pcm_close(steal_ptr(w->pcm));
}

static int lost(Worker *w, int error) {
        if (error != -EPIPE)
                return failed(w, MATCHER_PROBLEM_UNPLUGGED, error, "nothing more comes from");
        int r = snd_pcm_prepare(w->pcm);
        if (r >= 0)
                r = snd_pcm_start(w->pcm);
        return r < 0 ? failed(w, MATCHER_PROBLEM_UNPLUGGED, r, "nothing more comes from")
                     : MATCHER_PROBLEM_POOR_SAMPLE;
}

int microphone_frame(Worker *w, int16_t ret[UTTERANCE_HOP]) {
        snd_pcm_uframes_t n = 0;

        while (n < UTTERANCE_HOP) {
                snd_pcm_sframes_t k = snd_pcm_readi(w->pcm, ret + n, UTTERANCE_HOP - n);
                if (k > 0) {
                        n += (snd_pcm_uframes_t)k;
                        w->heard = clock_now().boot_usec;
                        continue;
                }
                if (k < 0 && k != -EAGAIN)
                        return lost(w, (int)k);
                int step = worker_wait(w, MIN(w->heard + SILENT, w->end.attempt.until));
                if (step >= 0)
                        step = matcher_end_over(&w->end);
                if (!step && clock_now().boot_usec >= w->heard + SILENT)
                        step = MATCHER_PROBLEM_SILENT;
                if (step)
                        return step;
        }
        /* Also where samples come faster than they are looked at. */
        return worker_wait(w, 0) < 0 ? STEP_LEAVING : matcher_end_over(&w->end);
}
