/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon and lockerd-hash say to each other: one packet of a SOCK_SEQPACKET pair a message, fixed
 * structures in the machine's own byte order (both sides come from one build; the version guards against a
 * half-done upgrade). One answer for each question, in their order. End of file: the worker leaves.
 *
 * The pepper comes with each question, so that the worker holds nothing between two of them. */
#pragma once

#include <stdint.h>

#define HASH_WIRE_VERSION 1
#define HASH_WIRE_FD      3 /* where the worker finds its end */
#define HASH_SECRET_MAX   1024
#define HASH_DATA_MAX     128
#define HASH_PEPPER_SIZE  32

/* What scrypt may be asked for: below it is no protection, above it is a gigabyte of memory and more. */
#define HASH_LOG_N_MIN 10
#define HASH_LOG_N_MAX 20

typedef enum HashVerb {
        HASH_ENROL = 1,
        HASH_VERIFY,
        HASH_VERIFY_NOTHING, /* the same work, the answer is no */
} HashVerb;

typedef enum HashResult {
        HASH_MATCH = 1,
        HASH_NO_MATCH,
        HASH_ENROLLED,
        HASH_FAILED, /* no memory, or verification data that is none */
} HashResult;

typedef struct HashQuestion {
        uint32_t version, verb; /* HashVerb */
        uint64_t id;
        uint32_t log_n; /* for new data and for nothing */
        uint32_t n_secret, n_data, reserved;
        uint8_t pepper[HASH_PEPPER_SIZE];
        uint8_t data[HASH_DATA_MAX];
        char secret[HASH_SECRET_MAX];
} HashQuestion;

typedef struct HashAnswer {
        uint32_t version, result; /* HashResult */
        uint64_t id;
        uint32_t n_data, reserved;
        uint8_t data[HASH_DATA_MAX];
} HashAnswer;
