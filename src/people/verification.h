/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence that is being verified, and what readers say instead of an answer. */
#pragma once

#include "people/people.h"

/* What a verifier said when it did not take a job: that there is no reader, or that it is in use, as a
 * refusal with detail; anything else as it is. */
int people_reader_refusal(int r, char detail[PEOPLE_DETAIL_MAX]);
/* What a reader said instead of an answer, as a refusal with its sentence; 0: it is no such result. */
int people_reader_said(IdentityResult result, const uint8_t *sentence, size_t n,
                       char detail[PEOPLE_DETAIL_MAX]);
/* At the end of the daemon: they are not answered. */
void verifications_drop(People *p);
