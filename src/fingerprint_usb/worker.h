/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-fingerprint-usb: one fingerprint reader at USB, through libfprint. main.c speaks with the daemon,
 * reader.c finds and opens the reader, attempt.c enrols and compares, template.c is what is stored.
 *
 * The process does one thing after the other. Whatever waits, waits in worker_run_until(), which hears the
 * daemon meanwhile: pings are answered, and a cancelled attempt ends at its next step. Between attempts the
 * reader is closed: libfprint counts the time in which one is awake, and refuses when it gets too hot. */
#pragma once

#include "identity/matcher_wire.h"

#include <libfprint-2/fprint.h>

/* What came of a step: 0; > 0: the MatcherProblem it failed with; < 0: one of these. */
enum {
        STEP_CANCELLED = -1,
        STEP_LATE = -2, /* the time of the attempt is over */
        STEP_LEAVING = -3,
};

typedef struct Candidate {
        uint8_t *data;
        size_t n;
} Candidate;

typedef struct Attempt {
        uint64_t number; /* 0: none */
        MatcherType task;
        uint64_t until; /* boot µs */
        bool cancelled;
        Candidate candidates[MATCHER_CLAIMED_MAX];
        unsigned n_candidates, n_comparisons;
        uint64_t candidates_of; /* the attempt that they are for */
} Attempt;

typedef struct Worker {
        int socket;
        bool leaving, ready;
        MatcherSetup setup; /* device: the reader's identifier, as libfprint has it; empty: the only one */
        FpContext *context;
        FpDevice *reader;     /* NULL: none is open */
        GCancellable *cancel; /* of what runs in the reader; NULL: nothing does */
        Attempt attempt;
        uint64_t probe_at;    /* boot µs: when it is looked whether the reader is there */
        MatcherHealth health; /* as told */
        bool health_told;
        uint8_t buffer[MATCHER_WIRE_MAX];
} Worker;

/* --- main.c --- */
/* Serves the daemon, and libfprint, until *done. */
void worker_run_until(const bool *done);
void worker_prompt(Worker *w, MatcherPrompt prompt);
void worker_health(Worker *w, MatcherProblem problem, const char *detail);

/* --- reader.c: steps --- */
/* Looks which readers are there and says what comes of it. Nothing may be open. */
int reader_look(Worker *w);
int reader_open(Worker *w);
void reader_close(Worker *w);
/* What an error of libfprint means; it is freed. NULL: nothing, as 0. */
int reader_problem(GError *error);
/* Is that the reader's fault, and not the sample's or the template's? */
bool problem_is_readers(int step);

/* --- template.c --- */
/* Eight bytes, big-endian: 'F' 'P', version, source (2: libfprint; the same as of modules at serial devices
 * but for that), 0, length; then what libfprint makes of a print. To be freed; NULL: it cannot be stored. */
uint8_t *template_write(FpPrint *print, size_t *ret_n);
/* 0 and *ret, to be unreferenced; MATCHER_PROBLEM_BAD_TEMPLATE; MATCHER_PROBLEM_OTHER_READER: from another
 * type of reader than this one. */
int template_read(const uint8_t *data, size_t n, FpDevice *reader, FpPrint **ret);

/* --- attempt.c --- */
void attempt_run(Worker *w); /* to its RESULT */
void attempt_forget(Attempt *a);
