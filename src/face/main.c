/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-face: a camera and the faces in front of it. Its messages: identity/matcher_wire.h. It opens its
 * device itself, the models before it gives up its rights. */
#include "base/clock.h"
#include "base/confine.h"
#include "base/log.h"
#include "base/worker.h"
#include "face/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#define PROBE           (10 * USEC_PER_SEC) /* is it still there? */
#define MISSING         (3 * USEC_PER_SEC)  /* is it there now? */
#define MEMORY_MAX      (512 * 1024 * 1024)
#define DESCRIPTORS_MAX 16

/* The longest path and the widest picture are no more than they may be; what is in the files is looked at by
 * vision_new(). */
static bool is_sane(const FaceReader *r) {
        for (FaceModelKind k = 0; k < FACE_MODELS; k++)
                if (!memchr(r->models[k].path, 0, FACE_PATH_MAX) || r->models[k].path[0] != '/' ||
                    r->models[k].size < 1 || r->models[k].size > FACE_MODEL_MAX)
                        return false;
        return r->threshold >= FACE_THRESHOLD_MIN && r->threshold <= FACE_THRESHOLD_MAX && r->width &&
               r->width <= PICTURE_SIDE_MAX && r->height && r->height <= PICTURE_SIDE_MAX;
}

static bool set_up(void *userdata, const MatcherMessage *m) {
        static const char *const calls[] = {"fcntl", "fcntl64", "ioctl", "open", "openat", NULL};
        static const ConfinePath paths[] = {{"/dev", true}, {NULL, false}};
        static const Confinement confinement = {
                .calls = calls, .paths = paths, .memory = MEMORY_MAX, .descriptors = DESCRIPTORS_MAX};
        Worker *w = userdata;

        if (m->body.header.type != MATCHER_SETUP || m->body.setup.baud ||
            m->body.header.n_data != sizeof(w->reader))
                return false;
        memcpy(&w->reader, m->data, sizeof(w->reader));
        if (!is_sane(&w->reader))
                return false;
        int step = vision_new(&w->vision, &w->reader, w->model_detail);
        w->model_problem = (MatcherProblem)step;
        if (confine(&confinement) < 0)
                return false;
        if (step)
                matcher_end_health(&w->end, w->model_problem, w->model_detail);
        w->end.ready = true;
        return true;
}

int worker_wait(Worker *w, int fd, uint64_t until) {
        for (;;) {
                struct pollfd fds[] = {{.fd = w->end.socket, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
                uint64_t now = clock_now().boot_usec, left = until > now ? until - now : 0;
                uint64_t most = MIN(left, WORKER_ALIVE_MS * USEC_PER_MSEC);
                struct timespec ts = {(time_t)(most / USEC_PER_SEC), (long)(most % USEC_PER_SEC * 1000)};

                worker_is_alive();
                int r = ppoll(fds, 2, &ts, NULL);
                if (r < 0 && errno != EINTR) {
                        w->end.leaving = true;
                        return STEP_LEAVING;
                }
                if (r > 0 && fds[0].revents)
                        matcher_end_receive(&w->end, set_up, w);
                if (w->end.leaving)
                        return STEP_LEAVING;
                if (r > 0)
                        return fds[1].revents ? 1 : 0;
                if (r == 0 && most == left)
                        return 0;
        }
}

static void look_after(Worker *w) {
        char detail[MATCHER_DETAIL_MAX];
        int step = camera_look(w->end.setup.device, detail);

        /* A camera may be busy for a moment, and say so when somebody needs it. */
        matcher_end_health(&w->end, (MatcherProblem)step, step ? "" : detail);
        w->probe_at = clock_now().boot_usec + (step ? MISSING : PROBE);
}

static void serve(Worker *w) {
        while (!w->end.leaving) {
                if (w->end.attempt.number) {
                        attempt_run(w);
                        w->probe_at = clock_now().boot_usec + (w->end.health.problem ? MISSING : PROBE);
                } else if (w->vision && clock_now().boot_usec >= w->probe_at)
                        look_after(w);
                else
                        (void)worker_wait(w, -1, w->vision ? w->probe_at : USEC_INFINITY);
        }
}

int main(int argc, char *argv[]) {
        static Worker w = {.end = MATCHER_END("face"), .camera.fd = -1};

        worker_begin(argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        matcher_end_hello(&w.end, MATCHER_ENROLS | MATCHER_VERIFIES);
        serve(&w);
        matcher_end_forget(&w.end);
        vision_free(w.vision);
        return EXIT_SUCCESS;
}
