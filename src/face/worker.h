/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-face: one camera and the models that look at its pictures. main.c speaks with the daemon, camera.c
 * with the camera, attempt.c enrols and compares, vision.c runs the models; picture.c, find.c and template.c
 * are pure.
 *
 * The process does one thing after the other and hears the daemon between two pictures; a picture takes the
 * models less than a second on the slowest board. Between attempts the camera is closed, and neither a
 * picture nor a number of a face is kept. */
#pragma once

#include "face/camera.h"
#include "face/vision.h"
#include "identity/matcher_end.h"

typedef struct Worker {
        MatcherEnd end; /* setup.device: the path of the camera */
        FaceReader reader;
        Vision *vision; /* NULL: the models cannot be used, and why */
        MatcherProblem model_problem;
        char model_detail[MATCHER_DETAIL_MAX];
        Camera camera;
        uint64_t probe_at; /* boot µs: when it is looked whether the camera is there */
} Worker;

/* --- main.c --- */
/* Serves the daemon until fd (-1: none) is readable or `until`. 1: readable; 0: the time is over, or the
 * daemon has said something; STEP_LEAVING. */
int worker_wait(Worker *w, int fd, uint64_t until);

/* --- attempt.c --- */
void attempt_run(Worker *w); /* to its RESULT */
