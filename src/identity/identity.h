/* SPDX-License-Identifier: Apache-2.0 */
/* Verifiers of secrets: PINs and passwords today, biometric matchers later, behind one interface: enrol makes
 * opaque verification data, verify compares presented evidence with it. Slow work happens in a worker process
 * (lockerd-hash). */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define IDENTITY_DATA_MAX 128

typedef struct Identity Identity;
typedef struct IdentityJob IdentityJob;

typedef enum IdentityResult {
        IDENTITY_MATCH,
        IDENTITY_NO_MATCH,
        IDENTITY_ENROLLED, /* data holds the verification data to store */
        IDENTITY_FAILED,   /* the worker died or timed out: neither yes nor no */
} IdentityResult;

typedef void (*IdentityDone)(void *userdata, IdentityResult result, const uint8_t *data, size_t n_data);

/* pepper: 32 bytes, mixed in so that the data alone is useless elsewhere. */
int identity_new(Identity **ret, sd_event *event, const char *worker_directory, unsigned scrypt_log_n,
                 const uint8_t pepper[32]);
/* What is still waiting is dropped, its callbacks are not called. Not from inside a callback. */
Identity *identity_free(Identity *i);
DEFINE_CLEANUP(Identity *, identity_free);

/* Both are asynchronous: `done` is called once from the event loop, unless cancelled. The secret is copied
 * and erased. `ret_job` may be NULL. With data == NULL, verify does the same work against nothing and answers
 * NO_MATCH, so that the time does not tell whether a person exists. Neither is called back from inside its
 * own call. -ENOBUFS: too much is waiting; -E2BIG: nobody may enrol a secret of more than 1024 bytes (one
 * that is verified simply does not match). */
int identity_enrol(Identity *i, const char *secret, IdentityDone done, void *userdata, IdentityJob **ret_job);
int identity_verify(Identity *i, const char *secret, const uint8_t *data, size_t n_data, IdentityDone done,
                    void *userdata, IdentityJob **ret_job);
void identity_cancel(IdentityJob *job);
