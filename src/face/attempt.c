/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt, from the task to its result. A face is compared once: were there a second try, whoever cancels
 * after the first would have learned something that nobody has counted. */
#include "base/clock.h"
#include "face/worker.h"

#include <errno.h>

#define SHOTS_ENROL  3
#define SHOTS_VERIFY 2
#define BETWEEN      (500 * USEC_PER_MSEC) /* two shots of an enrolment: people move a little */
#define EVERY        (120 * USEC_PER_MSEC) /* a picture is looked at: nobody moves faster */
#define SILENT       (3 * USEC_PER_SEC)    /* without a picture: the camera does not work */
#define PATIENCE                                                                                   \
        (1500 * USEC_PER_MSEC) /* before somebody is told what is wrong: cameras adjust themselves \
                                */
#define BESIDE  0.5  /* of the height of the nearest face: others of at least this are in view, too */
#define IN_VIEW 0.85 /* of a face, to be looked at */

/* What is looked at, and told. */
typedef struct Look {
        MatcherProblem problem; /* with the picture before; NONE: nothing */
        uint64_t since;         /* boot µs */
        uint64_t next;          /* boot µs: no picture before */
        MatcherPrompt told;
} Look;

static const struct {
        MatcherProblem problem;
        MatcherPrompt prompt;
} prompts[] = {
        {MATCHER_PROBLEM_NO_FACE, MATCHER_PROMPT_LOOK},
        {MATCHER_PROBLEM_TOO_DARK, MATCHER_PROMPT_TOO_DARK},
        {MATCHER_PROBLEM_TOO_FAR, MATCHER_PROMPT_NEARER},
        {MATCHER_PROBLEM_SEVERAL_FACES, MATCHER_PROMPT_ALONE},
};

static void tell(Worker *w, Look *look, MatcherPrompt prompt) {
        if (look->told != prompt)
                matcher_end_prompt(&w->end, prompt);
        look->told = prompt;
}

/* The same for a while: somebody should know. */
static void tell_problem(Worker *w, Look *look, MatcherProblem problem) {
        uint64_t now = clock_now().boot_usec;

        if (look->problem != problem) {
                look->problem = problem;
                look->since = now;
        } else if (now - look->since >= PATIENCE)
                for (size_t i = 0; i < ARRAY_SIZE(prompts); i++)
                        if (prompts[i].problem == problem)
                                tell(w, look, prompts[i].prompt);
}

static double overlap(double at, double length, double end) {
        return MIN(at + length, end) - MAX(at, 0);
}

static bool is_in_view(const Box *b, const Picture *p) {
        return overlap(b->x, b->width, p->width) >= IN_VIEW * b->width &&
               overlap(b->y, b->height, p->height) >= IN_VIEW * b->height;
}

/* Of a picture the one face that is there. *ret_problem: why there is none. */
static int choose_face(Worker *w, Face *ret, MatcherProblem *ret_problem) {
        const Picture *p = &w->camera.picture;
        Face faces[FACES_MAX];
        unsigned n = 0, nearest = 0, beside = 0;
        int step = vision_find(w->vision, p, faces, &n);

        if (step)
                return step;
        for (unsigned i = 1; i < n; i++)
                if (faces[i].box.height > faces[nearest].box.height)
                        nearest = i;
        for (unsigned i = 0; i < n; i++)
                beside += i != nearest && faces[i].box.height >= BESIDE * faces[nearest].box.height;
        Box seen = n ? faces[nearest].box : (Box){0, 0, p->width, p->height};
        *ret_problem = picture_light(p, seen) < w->reader.minimum_light ? MATCHER_PROBLEM_TOO_DARK
                       : !n || !is_in_view(&faces[nearest].box, p)      ? MATCHER_PROBLEM_NO_FACE
                       : beside                                         ? MATCHER_PROBLEM_SEVERAL_FACES
                       : faces[nearest].box.height < (double)w->reader.minimum_face ? MATCHER_PROBLEM_TOO_FAR
                                                                                    : MATCHER_PROBLEM_NONE;
        if (n)
                *ret = faces[nearest];
        return 0;
}

static int wait_for_picture(Worker *w, Look *look) {
        uint64_t since = clock_now().boot_usec;
        bool is_new = false;

        while (clock_now().boot_usec < look->next) {
                int step = worker_wait(w, -1, MIN(look->next, w->end.attempt.until));
                if (!step)
                        step = matcher_end_over(&w->end);
                if (step)
                        return step;
        }
        look->next = clock_now().boot_usec + EVERY;
        for (;;) {
                int step =
                        worker_wait(w, -1, 0); /* a camera that is always ready must not drown the daemon */
                if (!step)
                        step = matcher_end_over(&w->end);
                if (!step)
                        step = camera_take(&w->camera, &is_new);
                if (step || is_new)
                        return step;
                if (clock_now().boot_usec >= since + SILENT)
                        return MATCHER_PROBLEM_SILENT;
                step = worker_wait(w, w->camera.fd, MIN(since + SILENT, w->end.attempt.until));
                if (step < 0)
                        return step;
        }
}

/* Looks until there is one face that something can be made of. */
static int shoot(Worker *w, Look *look, float *ret) {
        for (;;) {
                MatcherProblem problem = MATCHER_PROBLEM_NONE;
                bool clear = false;
                Face face;
                int step = wait_for_picture(w, look);

                if (!step)
                        step = choose_face(w, &face, &problem);
                if (!step && !problem) {
                        step = vision_embed(w->vision, &w->camera.picture, &face, ret, &clear);
                        problem = clear ? MATCHER_PROBLEM_NONE : MATCHER_PROBLEM_NO_FACE;
                }
                /* What it had to be told of so far is why nothing came of it. */
                if (step == STEP_LATE && look->problem)
                        return (int)look->problem;
                if (step)
                        return step;
                if (!problem) {
                        look->problem = MATCHER_PROBLEM_NONE;
                        return 0;
                }
                tell_problem(w, look, problem);
        }
}

static int pause_between(Worker *w) {
        uint64_t until = clock_now().boot_usec + BETWEEN;
        bool is_new;

        while (clock_now().boot_usec < until) {
                int step = matcher_end_over(&w->end);
                if (!step) /* nobody wants the pictures of meanwhile */
                        step = camera_take(&w->camera, &is_new);
                if (!step)
                        step = worker_wait(w, -1, MIN(until, clock_now().boot_usec + BETWEEN / 5));
                if (step)
                        return step;
        }
        return 0;
}

/* Are those before alike? `shots`: one after the other. */
static bool fits(const Worker *w, const float *shots, unsigned n, size_t dimensions) {
        for (unsigned i = 0; i < n; i++)
                if (embedding_cosine(shots + i * dimensions, shots + n * dimensions, dimensions) * 1000 <
                    w->reader.threshold)
                        return false;
        return true;
}

/* The mean of several shots of one face. Enrolling, they have to be of one person; else it begins again with
 * whoever is there now. */
static int look_at(Worker *w, unsigned n_shots, bool enrols, float *ret) {
        float shots[SHOTS_ENROL * TEMPLATE_DIMENSIONS];
        size_t dimensions = vision_dimensions(w->vision);
        Look look = {.told = MATCHER_PROMPT_LOOK};
        int step = 0;

        w->end.attempt.of = enrols ? SHOTS_ENROL : 0;
        matcher_end_prompt(&w->end, MATCHER_PROMPT_LOOK);
        for (unsigned n = 0; !step && n < n_shots;) {
                step = shoot(w, &look, shots + n * dimensions);
                if (step)
                        break;
                w->end.attempt.taken = (uint16_t)(n + 1);
                if (!fits(w, shots, n, dimensions)) {
                        if (enrols)
                                step = MATCHER_PROBLEM_UNLIKE;
                        else {
                                memcpy(shots, shots + n * dimensions, dimensions * sizeof(*shots));
                                n = 1;
                        }
                } else if (++n < n_shots && enrols) {
                        step = pause_between(w);
                        if (!step) {
                                look.told = MATCHER_PROMPT_MAX;
                                tell(w, &look, MATCHER_PROMPT_LOOK_AGAIN);
                        }
                }
        }
        for (size_t i = 0; !step && i < dimensions; i++) {
                ret[i] = 0;
                for (unsigned k = 0; k < n_shots; k++)
                        ret[i] += shots[k * dimensions + i];
        }
        if (!step && !embedding_normalise(ret, dimensions))
                step = MATCHER_PROBLEM_FAULT;
        explicit_bzero(shots, sizeof(shots));
        return step;
}

/* Before anybody is asked to look. Where the claim may fit several, one that cannot be compared neither keeps
 * the others out nor tells that it is there. */
static int read_candidates(Worker *w, const uint8_t model[TEMPLATE_MODEL], float *ret) {
        size_t dimensions = vision_dimensions(w->vision);

        for (unsigned i = 0; i < w->end.attempt.n_candidates; i++) {
                Candidate *c = &w->end.attempt.candidates[i];
                int r = template_read(c->data, c->n, model, ret + i * dimensions, dimensions);

                if (r < 0 && w->end.attempt.n_comparisons == 1)
                        return r == -EXDEV ? MATCHER_PROBLEM_OTHER_MODEL : MATCHER_PROBLEM_BAD_TEMPLATE;
                c->useless = r < 0;
        }
        return 0;
}

/* Of several, a single clear one: two that match are as good as none. A comparison with nobody takes no time
 * that anybody could notice. */
static void compare_all(const Worker *w, const float *face, const float *candidates, MatcherResult *ret) {
        size_t dimensions = vision_dimensions(w->vision);
        unsigned n_matches = 0;

        for (unsigned i = 0; i < w->end.attempt.n_candidates; i++) {
                double cosine = embedding_cosine(face, candidates + i * dimensions, dimensions);

                if (w->end.attempt.candidates[i].useless || !(cosine * 1000 >= w->reader.threshold))
                        continue;
                n_matches++;
                ret->candidate = i + 1;
                ret->score = (uint32_t)(cosine * 1000);
        }
        if (n_matches == 1)
                ret->outcome = MATCHER_MATCH;
        else
                ret->candidate = ret->score = 0;
}

static int verify(Worker *w, const uint8_t model[TEMPLATE_MODEL], float *face, MatcherResult *ret) {
        float candidates[MATCHER_CLAIMED_MAX * TEMPLATE_DIMENSIONS];
        int step = read_candidates(w, model, candidates);

        if (!step)
                step = camera_open(&w->camera, w->end.setup.device, w->reader.width, w->reader.height);
        if (!step)
                step = look_at(w, SHOTS_VERIFY, false, face);
        if (!step)
                compare_all(w, face, candidates, ret);
        explicit_bzero(candidates, sizeof(candidates));
        return step;
}

static int enrol(Worker *w, const uint8_t model[TEMPLATE_MODEL], float *face, uint8_t *template,
                 size_t *ret_n) {
        int step = camera_open(&w->camera, w->end.setup.device, w->reader.width, w->reader.height);

        if (!step)
                step = look_at(w, SHOTS_ENROL, true, face);
        if (!step)
                *ret_n = template_write(model, face, vision_dimensions(w->vision), template);
        return step;
}

void attempt_run(Worker *w) {
        uint8_t template[TEMPLATE_MAX], model[TEMPLATE_MODEL];
        MatcherResult result = {.outcome = MATCHER_NO_MATCH};
        float face[TEMPLATE_DIMENSIONS];
        size_t n = 0;
        int step = w->vision ? 0 : (int)w->model_problem;

        template_model(&w->reader, model);
        if (!step && w->end.attempt.task == MATCHER_ENROL)
                step = enrol(w, model, face, template, &n);
        else if (!step)
                step = verify(w, model, face, &result);
        if (n)
                result.outcome = MATCHER_ENROLLED;
        if (step == MATCHER_PROBLEM_MISSING || step == MATCHER_PROBLEM_UNPLUGGED)
                matcher_end_prompt(&w->end, MATCHER_PROMPT_READER_MISSING);
        camera_close(&w->camera);
        if (problem_is_readers(step))
                matcher_end_health(&w->end, (MatcherProblem)step, w->vision ? "" : w->model_detail);
        matcher_end_result(&w->end, step, result, n ? template : NULL, n);
        explicit_bzero(template, sizeof(template));
        explicit_bzero(face, sizeof(face));
        if (w->vision)
                vision_forget(w->vision);
}
