/* SPDX-License-Identifier: Apache-2.0 */
/* A matcher's end of the wire (matcher_wire.h), whatever reader it has: what the daemon says, and what it is
 * told. Without a loop of its own: the matcher waits as its device wants it. */
#pragma once

#include "identity/matcher_wire.h"

/* What came of a step of an attempt: 0; > 0: the MatcherProblem it failed with; < 0: one of these. */
enum {
        STEP_CANCELLED = -1,
        STEP_LATE = -2, /* the time of the attempt is over */
        STEP_LEAVING = -3,
};

typedef struct Candidate {
        uint8_t *data;
        size_t n;
        bool useless; /* it cannot be compared here, and the claim may be another's */
} Candidate;

typedef struct Attempt {
        uint64_t number; /* 0: none */
        MatcherType task;
        uint64_t until; /* boot µs */
        bool cancelled;
        uint16_t taken, of; /* of an ENROL: samples taken, and needed; prompts say it. 0: not told */
        Candidate candidates[MATCHER_CLAIMED_MAX];
        unsigned n_candidates, n_comparisons;
        uint64_t candidates_of; /* the attempt that they are for */
} Attempt;

typedef struct MatcherEnd {
        int socket;
        int passed; /* the descriptor that came with the message that is being taken, or -1; closed afterwards
                     * if it is still here */
        const char *kind;
        bool leaving; /* the daemon is gone, or does not make sense */
        bool ready;   /* it has been set up: attempts may come */
        MatcherSetup setup;
        Attempt attempt;
        MatcherHealth health; /* as told */
        bool health_told;
        uint8_t buffer[MATCHER_WIRE_MAX];
} MatcherEnd;

/* As it is before the first message: of kind "fingerprint", … */
#define MATCHER_END(k) \
        { .socket = MATCHER_WIRE_FD, .passed = -1, .kind = (k) }

void matcher_end_hello(MatcherEnd *e, unsigned abilities);
/* Takes what has come, without waiting. `set_up` gets SETUP and DEVICE of a matcher that is not ready, and
 * says when it is; false: that makes no sense. */
void matcher_end_receive(MatcherEnd *e, bool (*set_up)(void *userdata, const MatcherMessage *m),
                         void *userdata);
void matcher_end_prompt(MatcherEnd *e, MatcherPrompt prompt);
/* Once, until it changes. */
void matcher_end_health(MatcherEnd *e, MatcherProblem problem, const char *detail);
/* Is that the reader's fault, and not the sample's or the template's? */
bool problem_is_readers(int step);
/* 0, or the step at which the attempt under way is to end. */
int matcher_end_over(const MatcherEnd *e);
/* The attempt has come to an end; its templates are erased. *r counts when the step is 0. */
void matcher_end_result(MatcherEnd *e, int step, MatcherResult r, const uint8_t *data, size_t n);
/* Before the process ends. */
void matcher_end_forget(MatcherEnd *e);
