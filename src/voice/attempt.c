/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt, from the task to its result. A phrase is compared once: were there a second try, whoever
 * cancels after the first would have learned something that nobody has counted. */
#include "base/clock.h"
#include "voice/compare.h"
#include "voice/worker.h"

#include <errno.h>

#define CAPTURES 3  /* that may be useless, for each utterance */
#define ROOMS    10 /* looks at a room that is too noisy, of half a second each */

static const struct {
        MatcherProblem problem;
        MatcherPrompt prompt; /* what is wrong, and that it is to be said again */
} useless[] = {
        [SPEECH_TOO_SHORT] = {MATCHER_PROBLEM_TOO_SHORT, MATCHER_PROMPT_TOO_SHORT},
        [SPEECH_TOO_LONG] = {MATCHER_PROBLEM_TOO_LONG, MATCHER_PROMPT_TOO_LONG},
        [SPEECH_TOO_LOUD] = {MATCHER_PROBLEM_TOO_LOUD, MATCHER_PROMPT_TOO_LOUD},
        [SPEECH_TOO_QUIET] = {MATCHER_PROBLEM_TOO_QUIET, MATCHER_PROMPT_TOO_QUIET},
        [SPEECH_NOISE] = {MATCHER_PROBLEM_NOISE, MATCHER_PROMPT_NOISE},
};

static int hear(Worker *w, SpeechVerdict (*take)(Speech *s, const int16_t *frame), SpeechVerdict *ret) {
        int16_t frame[UTTERANCE_HOP];
        int step;

        *ret = SPEECH_LISTENING;
        do {
                step = microphone_frame(w, frame);
                if (!step)
                        *ret = take(&w->speech, frame);
        } while (!step && *ret == SPEECH_LISTENING);
        explicit_bzero(frame, sizeof(frame));
        return step;
}

/* What is heard before anybody is asked to speak. */
static int hear_room(Worker *w) {
        SpeechVerdict verdict = SPEECH_NOISE;

        speech_begin(&w->speech, w->limits);
        for (unsigned i = 0; verdict == SPEECH_NOISE && i < ROOMS; i++) {
                int step = hear(w, speech_hear_room, &verdict);
                if (step && step != MATCHER_PROBLEM_POOR_SAMPLE)
                        return step;
                if (step)
                        verdict = SPEECH_NOISE;
                else if (verdict == SPEECH_NOISE && i == 0)
                        matcher_end_prompt(&w->end, MATCHER_PROMPT_NOISE);
        }
        return verdict == SPEECH_NOISE ? MATCHER_PROBLEM_NOISE : 0;
}

/* One utterance, into w->said. What is useless is told, and asked for again. */
static int listen(Worker *w, MatcherPrompt prompt) {
        int problem = 0;

        for (unsigned i = 0; i < CAPTURES; i++) {
                SpeechVerdict verdict;

                speech_listen(&w->speech);
                matcher_end_prompt(&w->end, prompt);
                int step = hear(w, speech_hear, &verdict);
                if (step == STEP_LATE && problem) /* it was said, and of no use */
                        return problem;
                if (step && step != MATCHER_PROBLEM_POOR_SAMPLE)
                        return step;
                if (!step && verdict == SPEECH_HEARD) {
                        size_t n;
                        const int16_t *samples = speech_samples(&w->speech, &n);
                        cepstra_of(w->cepstra, samples, n, &w->said);
                        return 0;
                }
                problem = step ? step : (int)useless[verdict].problem;
                prompt = step ? MATCHER_PROMPT_SAY_AGAIN : useless[verdict].prompt;
        }
        return problem;
}

/* --- verify --- */

static int read_candidate(Worker *w, const Candidate *c) {
        int r = template_read(c->data, c->n, &w->template);

        return r == -EXDEV ? MATCHER_PROBLEM_OTHER_READER : r < 0 ? MATCHER_PROBLEM_BAD_TEMPLATE : 0;
}

/* Before anybody is asked to speak. Where the claim may fit several, one that cannot be compared neither
 * keeps the others out nor tells that it is there. */
static int check_candidates(Worker *w) {
        for (unsigned i = 0; i < w->end.attempt.n_candidates; i++) {
                Candidate *c = &w->end.attempt.candidates[i];
                int step = read_candidate(w, c);

                if (step && w->end.attempt.n_comparisons == 1)
                        return step;
                c->useless = step != 0;
        }
        return 0;
}

/* Nobody: as much work, and the result is not looked at. */
static void compare_with_nobody(Worker *w) {
        w->template.n = TEMPLATE_UTTERANCES;
        for (unsigned i = 0; i < TEMPLATE_UTTERANCES; i++)
                w->template.utterances[i] = w->said;
        (void)compare_with(&w->said, w->template.utterances, w->template.n);
}

/* Of several, a single clear one: two that match are as good as none. */
static void compare_all(Worker *w, MatcherResult *ret) {
        unsigned n_matches = 0;

        for (unsigned i = 0; i < w->end.attempt.n_comparisons; i++) {
                const Candidate *c = i < w->end.attempt.n_candidates ? &w->end.attempt.candidates[i] : NULL;

                if (!c || c->useless || read_candidate(w, c)) {
                        compare_with_nobody(w);
                        continue;
                }
                unsigned distance = compare_with(&w->said, w->template.utterances, w->template.n);
                if (distance <= w->threshold) {
                        n_matches++;
                        ret->candidate = i + 1;
                        ret->score = COMPARE_FAR - distance;
                }
        }
        if (n_matches == 1)
                ret->outcome = MATCHER_MATCH;
        else
                ret->candidate = ret->score = 0;
        ret->quality = speech_quality(&w->speech);
}

static int verify(Worker *w, MatcherResult *ret) {
        int step = check_candidates(w);

        if (!step)
                step = microphone_open(w);
        if (!step)
                step = hear_room(w);
        if (!step)
                step = listen(w, MATCHER_PROMPT_SPEAK);
        if (!step)
                compare_all(w, ret);
        return step;
}

/* --- enrol --- */

/* Utterances of one phrase by one person are nearer to each other than to what is compared with them later:
 * where they are not, nothing good would come of them. */
static bool are_alike(const Worker *w, const Template *t) {
        for (unsigned i = 0; i < t->n; i++)
                for (unsigned k = 0; k < i; k++)
                        if (compare_utterances(&t->utterances[i], &t->utterances[k]) >
                            w->threshold + w->threshold / 8)
                                return false;
        return true;
}

static int enrol(Worker *w, size_t *ret_n, MatcherResult *ret) {
        Template *t = &w->template;
        int step = microphone_open(w);

        if (!step)
                step = hear_room(w);
        w->end.attempt.of = TEMPLATE_UTTERANCES;
        for (t->n = 0; !step && t->n < TEMPLATE_UTTERANCES;) {
                step = listen(w, t->n ? MATCHER_PROMPT_SAY_AGAIN : MATCHER_PROMPT_SPEAK);
                if (!step)
                        t->utterances[t->n++] = w->said;
                if (!step && !are_alike(w, t))
                        step = MATCHER_PROBLEM_UNLIKE;
                w->end.attempt.taken = (uint16_t)t->n;
        }
        if (step)
                return step;
        *ret_n = template_write(t, w->written);
        ret->outcome = MATCHER_ENROLLED;
        ret->quality = speech_quality(&w->speech);
        return 0;
}

void attempt_run(Worker *w) {
        MatcherResult result = {.outcome = MATCHER_NO_MATCH};
        size_t n = 0;
        int step = w->end.attempt.task == MATCHER_ENROL ? enrol(w, &n, &result) : verify(w, &result);

        if (step == MATCHER_PROBLEM_MISSING || step == MATCHER_PROBLEM_UNPLUGGED)
                matcher_end_prompt(&w->end, MATCHER_PROMPT_READER_MISSING);
        microphone_close(w);
        if (problem_is_readers(step))
                matcher_end_health(&w->end, (MatcherProblem)step, w->end.setup.device);
        matcher_end_result(&w->end, step, result, n ? w->written : NULL, n);
        explicit_bzero(&w->speech, sizeof(w->speech));
        explicit_bzero(&w->said, sizeof(w->said));
        explicit_bzero(&w->template, sizeof(w->template));
        explicit_bzero(w->written, sizeof(w->written));
}
