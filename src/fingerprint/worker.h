/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-fingerprint: one reader at one serial device. main.c speaks with the daemon, port.c has the device,
 * module.c the commands of the module, attempt.c enrols and compares.
 *
 * The process does one thing after the other. Whatever waits, waits in worker_wait(), which hears the daemon
 * meanwhile: pings are answered, and a cancelled attempt ends at its next step. */
#pragma once

#include "fingerprint/packet.h"
#include "fingerprint/template.h"
#include "identity/matcher_wire.h"

/* What came of a step: 0; > 0: the MatcherProblem it failed with; < 0: one of these. */
enum {
        STEP_CANCELLED = -1,
        STEP_LATE = -2, /* the time of the attempt is over */
        STEP_LEAVING = -3,
};

typedef struct Module {
        int fd; /* -1: not open */
        unsigned system_id, capacity, security;
        size_t packet_size;   /* payload of data packets */
        size_t template_size; /* 0: not known yet */
        uint64_t sent_at;     /* boot µs at which the last byte has left for certain */
} Module;

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
        Candidate candidates[MATCHER_CLAIMED_MAX];
        unsigned n_candidates, n_comparisons;
        uint64_t candidates_of; /* the attempt that they are for */
} Attempt;

typedef struct Worker {
        int socket, opener, passed;
        bool leaving, ready;
        bool idle; /* between attempts: whatever the daemon says ends a wait */
        bool deaf; /* wiping: that is brought to its end, whether the daemon is there or not */
        MatcherSetup setup;
        Module module;
        Attempt attempt;
        uint64_t probe_at, backoff; /* boot µs; µs */
        MatcherHealth health;       /* as told */
        bool health_told;
        uint8_t buffer[MATCHER_WIRE_MAX];
} Worker;

/* --- main.c --- */
/* Until fd (-1: none) is readable: 1; until boot µs `until`: 0; without fd, and when idle, also when the
 * daemon has said something: 0. STEP_LEAVING. */
int worker_wait(Worker *w, int fd, uint64_t until);
void worker_prompt(Worker *w, MatcherPrompt prompt);
void worker_health(Worker *w, MatcherProblem problem, const char *detail);

/* --- port.c --- */
int port_open(Worker *w); /* step */
void port_close(Worker *w);
int port_write(Worker *w, const uint8_t *bytes, size_t n); /* step */
/* Bytes that are there; 0: none; negative errno: the device has gone. */
int port_read(Worker *w, uint8_t *bytes, size_t room);
/* Throws away what nobody has asked for, until nothing has come for so long. Step. */
int port_quiet(Worker *w, uint64_t quiet_usec);

/* --- module.c: steps --- */
typedef enum ModuleCode {
        MODULE_OK = 0x00,
        MODULE_BAD_PACKET = 0x01,
        MODULE_NO_FINGER = 0x02,
        MODULE_NO_IMAGE = 0x03,
        MODULE_MESSY = 0x06,
        MODULE_FEW_POINTS = 0x07,
        MODULE_NO_MATCH = 0x08,
        MODULE_UNLIKE = 0x0A,
        MODULE_WRONG_PASSWORD = 0x13,
        MODULE_EMPTY_IMAGE = 0x15,
        MODULE_PASSWORD_NEEDED = 0x21,
} ModuleCode;

/* Opens the device if it is not, and asks who is there. After a problem that is the reader's the device is
 * closed, and the next call begins anew. */
int module_ready(Worker *w);
int module_probe(Worker *w); /* is it still there? */
int module_capture(Worker *w, ModuleCode *ret);
int module_extract(Worker *w, unsigned buffer, ModuleCode *ret); /* of the image, into buffer 1 or 2 */
int module_combine(Worker *w, ModuleCode *ret);                  /* both buffers into a template in both */
int module_match(Worker *w, ModuleCode *ret, unsigned *ret_score);
/* room: for TEMPLATE_CODE_MAX bytes. */
int module_upload(Worker *w, unsigned buffer, uint8_t *room, size_t *ret_n);
int module_download(Worker *w, unsigned buffer, const uint8_t *code, size_t n);
/* Overwrites both buffers. */
int module_wipe(Worker *w);
/* Is that the reader's fault, and not the sample's or the template's? */
bool problem_is_readers(int step);

/* --- attempt.c --- */
void attempt_run(Worker *w); /* to its RESULT */
void attempt_forget(Attempt *a);
