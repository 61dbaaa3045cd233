/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the ledger's chain. */
#pragma once

#include "bus/handler.h"

typedef struct AuditJob AuditJob;

void audit_job_free(Bus *b);
HANDLER(audit_verify);
HANDLER(audit_verify_since);
