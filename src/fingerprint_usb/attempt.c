/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt, from the task to its result. A finger is compared once: were there a second try, whoever
 * cancels after the first would have learned something that nobody has counted. */
#include "fingerprint_usb/worker.h"

#define CAPTURES 3 /* that may be useless, for each touch */

/* What runs in the reader. */
typedef struct Run {
        Worker *w;
        bool done, touched;
        unsigned useless;
        gulong watch;
        GError *error;
        FpPrint *enrolled, *match; /* ours; one of the gallery's */
} Run;

static void finger_changed(GObject *source, GParamSpec *spec, gpointer userdata) {
        FpFingerStatusFlags status = fp_device_get_finger_status(FP_DEVICE(source));
        Run *r = userdata;

        if (status & FP_FINGER_STATUS_NEEDED && !(status & FP_FINGER_STATUS_PRESENT))
                matcher_end_prompt(&r->w->end, r->touched ? MATCHER_PROMPT_AGAIN : MATCHER_PROMPT_TOUCH);
        else if (status & FP_FINGER_STATUS_PRESENT && !(status & FP_FINGER_STATUS_NEEDED))
                matcher_end_prompt(&r->w->end, MATCHER_PROMPT_LIFT);
        if (status & FP_FINGER_STATUS_PRESENT)
                r->touched = true;
}

/* Before the reader is told to do anything: it may want a finger at once. */
static void begin(Run *r) {
        r->w->cancel = g_cancellable_new();
        r->watch = g_signal_connect(r->w->reader, "notify::finger-status", G_CALLBACK(finger_changed), r);
}

static int wait_for(Run *r) {
        Worker *w = r->w;

        worker_run_until(&r->done);
        g_signal_handler_disconnect(w->reader, r->watch);
        g_clear_object(&w->cancel);
        int why = matcher_end_over(&w->end), step = reader_problem(g_steal_pointer(&r->error));
        /* It was cancelled because the attempt is over, or is over just now: nothing counts any more. */
        return why ? why : step == STEP_CANCELLED ? MATCHER_PROBLEM_NO_SAMPLE : step;
}

/* --- enrol --- */

static void progress(FpDevice *reader, gint stages, FpPrint *print, gpointer userdata, GError *error) {
        Run *r = userdata;

        r->w->end.attempt.taken = (uint16_t)MAX(stages, 0);
        /* A useless touch does not count as a stage, and somebody may put down another finger for ever. */
        if (error && ++r->useless >= CAPTURES * (unsigned)MAX(fp_device_get_nr_enroll_stages(reader), 1))
                g_cancellable_cancel(r->w->cancel);
}

static void enrolled(GObject *source, GAsyncResult *result, gpointer userdata) {
        Run *r = userdata;

        r->enrolled = fp_device_enroll_finish(FP_DEVICE(source), result, &r->error);
        r->done = true;
}

static int enrol(Worker *w, uint8_t **ret, size_t *ret_n) {
        Run r = {.w = w};

        w->end.attempt.of = (uint16_t)MAX(fp_device_get_nr_enroll_stages(w->reader), 0);
        begin(&r);
        fp_device_enroll(w->reader, fp_print_new(w->reader), w->cancel, progress, &r, NULL, enrolled, &r);
        int step = wait_for(&r);
        if (step == MATCHER_PROBLEM_NO_SAMPLE) /* given up for useless touches */
                step = MATCHER_PROBLEM_POOR_SAMPLE;
        if (!step) {
                *ret = template_write(r.enrolled, ret_n);
                step = *ret ? 0 : MATCHER_PROBLEM_FAULT;
        }
        g_clear_object(&r.enrolled);
        return step;
}

/* --- verify --- */

static void identified(GObject *source, GAsyncResult *result, gpointer userdata) {
        Run *r = userdata;

        fp_device_identify_finish(FP_DEVICE(source), result, &r->match, NULL, &r->error);
        r->done = true;
}

static void verified(GObject *source, GAsyncResult *result, gpointer userdata) {
        Run *r = userdata;
        gboolean match = FALSE;

        if (fp_device_verify_finish(FP_DEVICE(source), result, &match, NULL, &r->error) && match)
                r->match = g_object_ref(r->enrolled);
        r->done = true;
}

/* One touch against all of them. *ret_match: its number, 0: none. */
static int touch(Worker *w, GPtrArray *gallery, bool again, unsigned *ret_match) {
        int step = MATCHER_PROBLEM_POOR_SAMPLE;

        for (unsigned tries = 0; step == MATCHER_PROBLEM_POOR_SAMPLE && tries < CAPTURES; tries++) {
                Run r = {.w = w, .touched = again || tries};

                begin(&r);
                if (gallery->len == 1) {
                        r.enrolled = g_ptr_array_index(gallery, 0);
                        fp_device_verify(w->reader, r.enrolled, w->cancel, NULL, NULL, NULL, verified, &r);
                } else
                        fp_device_identify(w->reader, gallery, w->cancel, NULL, NULL, NULL, identified, &r);
                step = wait_for(&r);
                *ret_match = 0;
                for (guint i = 0; !step && r.match && i < gallery->len; i++)
                        if (fp_print_equal(g_ptr_array_index(gallery, i), r.match))
                                *ret_match = i + 1;
                g_clear_object(&r.match);
        }
        return step;
}

/* libfprint names the first that fits. Of several, a single clear one counts: whoever was found is left out,
 * and the finger is asked for once more. */
static int compare_all(Worker *w, GPtrArray *gallery, MatcherResult *ret) {
        unsigned match = 0, other = 0;
        int step = touch(w, gallery, false, &match);

        if (!step && match && gallery->len > 1) {
                g_autoptr(GPtrArray) others = g_ptr_array_new();
                for (guint i = 0; i < gallery->len; i++)
                        if (i + 1 != match)
                                g_ptr_array_add(others, g_ptr_array_index(gallery, i));
                step = touch(w, others, true, &other);
        }
        if (!step && match && !other) {
                ret->outcome = MATCHER_MATCH;
                ret->candidate = match;
        }
        return step;
}

static int verify(Worker *w, MatcherResult *ret) {
        g_autoptr(GPtrArray) gallery = g_ptr_array_new_with_free_func(g_object_unref);
        const Attempt *a = &w->end.attempt;
        unsigned numbers[MATCHER_CLAIMED_MAX];

        for (unsigned i = 0; i < a->n_candidates; i++) {
                FpPrint *print = NULL;
                int step = template_read(a->candidates[i].data, a->candidates[i].n, w->reader, &print);

                /* Where the claim may fit several, one that cannot be compared neither keeps the others out
                 * nor tells that it is there. */
                if (step && a->n_comparisons > 1)
                        continue;
                if (step)
                        return step;
                numbers[gallery->len] = i + 1;
                g_ptr_array_add(gallery, print);
        }
        int step = compare_all(w, gallery, ret);
        if (!step && ret->outcome == MATCHER_MATCH)
                ret->candidate = numbers[ret->candidate - 1];
        return step;
}

void attempt_run(Worker *w) {
        MatcherResult result = {.outcome = MATCHER_NO_MATCH};
        uint8_t *template = NULL;
        size_t n = 0;
        int step = reader_open(w);

        if (!step) /* cancelled while it was opened */
                step = matcher_end_over(&w->end);
        if (!step)
                step = w->end.attempt.task == MATCHER_ENROL ? enrol(w, &template, &n) : verify(w, &result);
        if (!step && template)
                result.outcome = MATCHER_ENROLLED;
        if (step == MATCHER_PROBLEM_MISSING || step == MATCHER_PROBLEM_UNPLUGGED)
                matcher_end_prompt(&w->end, MATCHER_PROMPT_READER_MISSING);
        reader_close(w);
        if (problem_is_readers(step))
                matcher_end_health(&w->end, (MatcherProblem)step, "");
        matcher_end_result(&w->end, step, result, template, n);
        if (template)
                explicit_bzero(template, n);
        free(template);
}
