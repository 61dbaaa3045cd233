/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of one matcher (matcher_wire.h): keeps the worker alive, gives it one attempt at a time
 * and believes of its answers what can be an answer. Death, a hang, nonsense or a lie fails the attempt under
 * way and nothing else; the worker is replaced. For src/identity/ only. */
#pragma once

#include "core/cabinet.h"
#include "identity/job.h"

/* worker_directory: where lockerd-<kind> and lockerd-open are, programs or sockets, see base/child.h. */
int matcher_new(Matcher **ret, sd_event *event, const char *worker_directory, const IdentityReader *reader,
                Identity *identity);
Matcher *matcher_free(Matcher *m);
DEFINE_CLEANUP(Matcher *, matcher_free);

/* Of a Verifier: its matcher is the one of the job's kind. -ENODEV: this cabinet has no such reader; -EBUSY:
 * somebody else is at it. */
int matcher_add(IdentityJob *job);
void matcher_cancel(IdentityJob *job);
void matcher_health(const Identity *i, CredentialKind k, IdentityHealth *ret);
