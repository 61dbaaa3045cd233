/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt, from the task to its result. A finger is compared once: were there a second try, whoever
 * cancels after the first would have learned something that nobody has counted. */
#include "base/clock.h"
#include "fingerprint/worker.h"

#include <errno.h>

#define POLL       (80 * USEC_PER_MSEC) /* between two looks for a finger */
#define CAPTURES   3                    /* that may be useless, for each touch */
#define CAPTURED   2                    /* that make a template */
#define USUAL_SIZE 512

/* Looks until there is a finger (or none). */
static int wait_for_finger(Worker *w, bool present) {
        for (;;) {
                ModuleCode code = MODULE_OK;
                int step = matcher_end_over(&w->end);

                if (!step)
                        step = module_capture(w, &code);
                if (step || (code == MODULE_NO_FINGER) != present)
                        return step;
                step = worker_wait(w, -1, clock_now().boot_usec + POLL);
                if (step < 0)
                        return step;
        }
}

static int lift(Worker *w) {
        matcher_end_prompt(&w->end, MATCHER_PROMPT_LIFT);
        return wait_for_finger(w, false);
}

static int useful(ModuleCode code) {
        switch (code) {
        case MODULE_OK:
                return 0;
        case MODULE_MESSY:
        case MODULE_FEW_POINTS:
        case MODULE_EMPTY_IMAGE:
        case MODULE_NO_IMAGE:
        case MODULE_NO_FINGER:
                return MATCHER_PROBLEM_POOR_SAMPLE;
        case MODULE_BAD_PACKET:
        case MODULE_NO_MATCH:
        case MODULE_UNLIKE:
        case MODULE_WRONG_PASSWORD:
        case MODULE_PASSWORD_NEEDED:
                break;
        }
        return MATCHER_PROBLEM_REFUSES; /* also a number that is none of them */
}

/* The finger of whoever was there before is nobody's: each attempt has a touch of its own. */
static int begin_without_finger(Worker *w) {
        ModuleCode code = MODULE_OK;
        int step = module_capture(w, &code);

        return step || code == MODULE_NO_FINGER ? step : lift(w);
}

/* A finger's characteristics into a buffer of the module. */
static int touch(Worker *w, unsigned buffer, MatcherPrompt prompt) {
        for (unsigned tries = 1;; tries++) {
                ModuleCode code = MODULE_OK;
                int step;

                matcher_end_prompt(&w->end, prompt);
                step = wait_for_finger(w, true);
                if (!step)
                        step = module_extract(w, buffer, &code);
                if (!step)
                        step = useful(code);
                if (!step)
                        w->end.attempt.taken++;
                if (step != MATCHER_PROBLEM_POOR_SAMPLE || tries == CAPTURES)
                        return step;
                step = lift(w);
                if (step)
                        return step;
                prompt = MATCHER_PROMPT_AGAIN;
        }
}

static int check_candidate(const Worker *w, const Candidate *c) {
        Template t;
        int r = template_read(c->data, c->n, &t);

        if (r < 0)
                return r == -EXDEV ? MATCHER_PROBLEM_OTHER_READER : MATCHER_PROBLEM_BAD_TEMPLATE;
        return t.system_id != w->module.system_id ||
                               (w->module.template_size && t.n != w->module.template_size)
                       ? MATCHER_PROBLEM_OTHER_READER
                       : 0;
}

/* Before anybody is asked for a finger. Where the claim may fit several, one that cannot be compared neither
 * keeps the others out nor tells that it is there. */
static int check_candidates(Worker *w) {
        for (unsigned i = 0; i < w->end.attempt.n_candidates; i++) {
                Candidate *c = &w->end.attempt.candidates[i];
                int step = check_candidate(w, c);

                if (step && w->end.attempt.n_comparisons == 1)
                        return step;
                c->useless = step != 0;
        }
        return 0;
}

static int compare(Worker *w, const uint8_t *code, size_t n, bool *ret_match, unsigned *ret_score) {
        ModuleCode answer = MODULE_OK;
        int step = module_download(w, 2, code, n);

        if (!step)
                w->module.template_size = n;
        if (!step)
                step = module_match(w, &answer, ret_score);
        if (step)
                return step;
        *ret_match = answer == MODULE_OK;
        return answer == MODULE_OK || answer == MODULE_NO_MATCH ? 0 : MATCHER_PROBLEM_REFUSES;
}

/* Nobody: as much work, whatever the module says to it. */
static int compare_with_nobody(Worker *w) {
        static const uint8_t nothing[TEMPLATE_CODE_MAX];
        size_t n = w->module.template_size ? w->module.template_size : USUAL_SIZE;
        unsigned score;
        bool match;
        int step = compare(w, nothing, n, &match, &score);

        return step == MATCHER_PROBLEM_REFUSES && w->module.fd >= 0 ? 0 : step;
}

/* Of several, a single clear one: two that match are as good as none. */
static int compare_all(Worker *w, MatcherResult *ret) {
        unsigned n_matches = 0;

        for (unsigned i = 0; i < w->end.attempt.n_comparisons; i++) {
                const Candidate *c = i < w->end.attempt.n_candidates ? &w->end.attempt.candidates[i] : NULL;
                unsigned score = 0;
                bool match = false;
                Template t;
                int step;

                if (c && !c->useless) {
                        (void)template_read(c->data, c->n, &t);
                        step = compare(w, t.code, t.n, &match, &score);
                } else
                        step = compare_with_nobody(w);
                if (step)
                        return step;
                if (match) {
                        n_matches++;
                        ret->candidate = i + 1;
                        ret->score = score;
                }
        }
        if (n_matches == 1)
                ret->outcome = MATCHER_MATCH;
        else
                ret->candidate = ret->score = 0;
        return 0;
}

static int verify(Worker *w, MatcherResult *ret) {
        int step = check_candidates(w);

        if (!step)
                step = begin_without_finger(w);
        if (!step)
                step = touch(w, 1, MATCHER_PROMPT_TOUCH);
        if (!step)
                step = compare_all(w, ret);
        return step;
}

static int enrol(Worker *w, uint8_t *code, size_t *ret_n) {
        ModuleCode answer = MODULE_OK;
        w->end.attempt.of = CAPTURED;
        int step = begin_without_finger(w);

        if (!step)
                step = touch(w, 1, MATCHER_PROMPT_TOUCH);
        if (!step)
                step = lift(w);
        if (!step)
                step = touch(w, 2, MATCHER_PROMPT_AGAIN);
        if (!step)
                step = module_combine(w, &answer);
        if (!step && answer != MODULE_OK)
                step = answer == MODULE_UNLIKE ? MATCHER_PROBLEM_UNLIKE : MATCHER_PROBLEM_REFUSES;
        if (!step)
                step = module_upload(w, 1, code, ret_n);
        if (!step && *ret_n < TEMPLATE_CODE_MIN)
                step = MATCHER_PROBLEM_REFUSES;
        if (!step)
                w->module.template_size = *ret_n;
        return step;
}

void attempt_run(Worker *w) {
        uint8_t code[TEMPLATE_CODE_MAX], template[TEMPLATE_MAX];
        MatcherResult result = {.outcome = MATCHER_NO_MATCH};
        size_t n = 0, n_template = 0;
        int step = module_ready(w);

        if (!step)
                step = w->end.attempt.task == MATCHER_ENROL ? enrol(w, code, &n) : verify(w, &result);
        if (!step && w->end.attempt.task == MATCHER_ENROL) {
                n_template = template_write(&(Template){w->module.system_id, code, n}, template);
                result.outcome = MATCHER_ENROLLED;
        }
        if (step == MATCHER_PROBLEM_MISSING || step == MATCHER_PROBLEM_UNPLUGGED)
                matcher_end_prompt(&w->end, MATCHER_PROMPT_READER_MISSING);
        /* Nothing of anybody stays in the module. What cannot be wiped now is when it is there again. */
        int wiped = module_wipe(w);
        if (problem_is_readers(step) || problem_is_readers(wiped))
                matcher_end_health(&w->end, (MatcherProblem)(problem_is_readers(step) ? step : wiped), "");
        matcher_end_result(&w->end, step, result, n_template ? template : NULL, n_template);
        explicit_bzero(code, sizeof(code));
        explicit_bzero(template, sizeof(template));
}
