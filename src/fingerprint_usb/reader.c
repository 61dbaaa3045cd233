/* SPDX-License-Identifier: Apache-2.0 */
/* Which reader there is. libfprint is asked anew each time: where a unit has no network of its own, nobody
 * tells of what is plugged in. */
#include "fingerprint_usb/worker.h"
#include "base/log.h"

#include <stdio.h>

typedef struct Opening {
        bool done;
        GError *error;
} Opening;

static const struct {
        FpDeviceError error;
        MatcherProblem problem;
} problems[] = {
        {FP_DEVICE_ERROR_REMOVED, MATCHER_PROBLEM_UNPLUGGED},
        {FP_DEVICE_ERROR_NOT_OPEN, MATCHER_PROBLEM_MISSING},
        {FP_DEVICE_ERROR_PROTO, MATCHER_PROBLEM_CORRUPT},
        {FP_DEVICE_ERROR_BUSY, MATCHER_PROBLEM_BUSY},
        {FP_DEVICE_ERROR_ALREADY_OPEN, MATCHER_PROBLEM_BUSY},
        {FP_DEVICE_ERROR_TOO_HOT, MATCHER_PROBLEM_HOT},
        {FP_DEVICE_ERROR_DATA_INVALID, MATCHER_PROBLEM_BAD_TEMPLATE},
}; /* the others: it refuses, and the log has what it says */

int reader_problem(GError *error) {
        int problem = MATCHER_PROBLEM_REFUSES;

        if (!error)
                return 0;
        if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
                problem = STEP_CANCELLED;
        else if (error->domain == FP_DEVICE_RETRY)
                problem = MATCHER_PROBLEM_POOR_SAMPLE;
        else if (error->domain == FP_DEVICE_ERROR)
                for (size_t i = 0; i < ARRAY_SIZE(problems); i++)
                        if ((FpDeviceError)error->code == problems[i].error)
                                problem = (int)problems[i].problem;
        if (problem > 0 && problem != MATCHER_PROBLEM_POOR_SAMPLE)
                log_warning("libfprint: %s", error->message);
        g_error_free(error);
        return problem;
}

static bool is_meant(const Worker *w, FpDevice *d) {
        return !*w->end.setup.device || streq(w->end.setup.device, fp_device_get_device_id(d)) ||
               streq(w->end.setup.device, fp_device_get_driver(d));
}

/* Those that are there, in one line. */
static void list(GPtrArray *devices, char *text, size_t room) {
        size_t n = 0;

        *text = '\0';
        for (guint i = 0; i < devices->len && n < room; i++) {
                FpDevice *d = g_ptr_array_index(devices, i);
                int r = snprintf(text + n, room - n, "%s%s %s (%s)", i ? ", " : "", fp_device_get_driver(d),
                                 fp_device_get_device_id(d), fp_device_get_name(d));
                n += r > 0 ? (size_t)r : 0;
        }
}

/* *ret: the context's. */
static int choose(Worker *w, FpDevice **ret) {
        GPtrArray *devices = fp_context_get_devices(w->context);
        char there[512];
        unsigned n = 0;

        for (guint i = 0; i < devices->len; i++)
                if (is_meant(w, g_ptr_array_index(devices, i))) {
                        *ret = g_ptr_array_index(devices, i);
                        n++;
                }
        if (n == 1)
                return 0;
        if (devices->len && (!w->end.health_told || w->end.health.problem != (n ? MATCHER_PROBLEM_SEVERAL
                                                                                : MATCHER_PROBLEM_MISSING))) {
                list(devices, there, sizeof(there));
                log_warning("Reader %s: Id=%s fits %u of these: %s", w->end.setup.name, w->end.setup.device,
                            n, there);
        }
        return n ? MATCHER_PROBLEM_SEVERAL : MATCHER_PROBLEM_MISSING;
}

/* What a reader keeps nobody could erase; and one that cannot look for nobody would tell who is enrolled. */
static bool is_suitable(const Worker *w, FpDevice *d) {
        bool keeps = fp_device_has_feature(d, FP_DEVICE_FEATURE_STORAGE);

        if (!keeps && fp_device_has_feature(d, FP_DEVICE_FEATURE_IDENTIFY))
                return true;
        if (!w->end.health_told || w->end.health.problem != MATCHER_PROBLEM_UNSUITABLE)
                log_warning("Reader %s: %s (%s) %s; it is not used", w->end.setup.name,
                            fp_device_get_driver(d), fp_device_get_name(d),
                            keeps ? "keeps fingerprints in itself" : "cannot compare with several");
        return false;
}

static int look(Worker *w, FpDevice **ret) {
        g_clear_object(&w->context);
        w->context = fp_context_new();
        fp_context_enumerate(w->context);
        int step = choose(w, ret);
        return step || is_suitable(w, *ret) ? step : MATCHER_PROBLEM_UNSUITABLE;
}

int reader_look(Worker *w) {
        char detail[MATCHER_DETAIL_MAX] = "";
        FpDevice *d = NULL;
        int step = look(w, &d);

        if (!step)
                for (const char *c = fp_device_get_name(d); *c && strlen(detail) + 1 < sizeof(detail); c++)
                        detail[strlen(detail)] = *c >= ' ' && *c < 127 ? *c : '?';
        matcher_end_health(&w->end, step ? (MatcherProblem)step : MATCHER_PROBLEM_NONE, detail);
        return step;
}

static void opened(GObject *source, GAsyncResult *result, gpointer userdata) {
        Opening *o = userdata;

        fp_device_open_finish(FP_DEVICE(source), result, &o->error);
        o->done = true;
}

static void closed(GObject *source, GAsyncResult *result, gpointer userdata) {
        Opening *o = userdata;

        fp_device_close_finish(FP_DEVICE(source), result, &o->error);
        o->done = true;
}

int reader_open(Worker *w) {
        Opening o = {0};
        FpDevice *d = NULL;
        int step = look(w, &d);

        if (step)
                return step;
        w->cancel = g_cancellable_new();
        fp_device_open(d, w->cancel, opened, &o);
        worker_run_until(&o.done);
        g_clear_object(&w->cancel);
        step = reader_problem(o.error);
        if (!step)
                w->reader = g_object_ref(d);
        return step;
}

void reader_close(Worker *w) {
        Opening o = {0};

        if (!w->reader)
                return;
        fp_device_close(w->reader, NULL, closed, &o);
        worker_run_until(&o.done);
        g_clear_error(&o.error); /* it is gone, which is told already */
        g_clear_object(&w->reader);
}
