/* SPDX-License-Identifier: Apache-2.0 */
/* The handhelds' door into the cabinet: what lockerd-link has read of their requests becomes use cases, one
 * session a connection; answers and prompts go back. The bytes themselves, TLS and certificates are the
 * worker's (src/link/). */
#pragma once

#include "core/settings.h"
#include "locker/locker.h"
#include <systemd/sd-event.h>

typedef struct Handhelds Handhelds;

/* What lockerd-link is told at its start, as text; also for lockerd-link --check. NULL: no memory. */
char *link_client_setup(const Settings *settings, const Cabinet *cabinet);
/* Does nothing, successfully, when [Link] is not configured. */
int handhelds_new(Handhelds **ret, sd_event *event, Locker *locker, const Settings *settings);
/* Certificates and revocations are read again: by another worker, so that connections end. NULL: nothing to
 * do. */
void handhelds_reload(Handhelds *h);
Handhelds *handhelds_free(Handhelds *h);
DEFINE_CLEANUP(Handhelds *, handhelds_free);
