/* SPDX-License-Identifier: Apache-2.0 */
/* An Enrol or EnrolCredential at a reader of the cabinet: shows what the person is to do while it goes on,
 * and Ctrl-C ends it. */
#pragma once

#include "ctl/ctl.h"

/* Sends the call and waits for its answer. Prompts: sentences on stderr; with --json a line each on stdout,
 * {"event": "prompt", "credential", "what", "taken", "of", "sentence"}. 0 with the reply, which the caller
 * unreferences; else the exit status, and it has been reported. */
int enrolment_follow(Ctl *c, sd_bus_message *m, sd_bus_message **ret);
