/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a board profile, the same .board file that the daemon reads. */
#pragma once

#include "sim/ini_file.h"
#include "sim/model.h"

/* The profile `name` in `directory`. The complaint, if any, is stored in `ini`, which the caller
 * clears. */
int profile_read(Profile *p, const char *directory, const char *name, Ini *ini);
void profile_clear(Profile *p);
