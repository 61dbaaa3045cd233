/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the ledger. */
#pragma once

#include "bus/handler.h"

typedef struct BackupJob BackupJob;

void backup_job_free(Bus *b);
HANDLER(backup_start);
