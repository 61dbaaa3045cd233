/* SPDX-License-Identifier: Apache-2.0 */
/* Where lockerd itself is, for the verbs that run it. */
#pragma once

#include "ctl/ctl.h"

#include <limits.h>

const char *lockerd_program(char buffer[PATH_MAX]);
/* The options --config and --cabinet, as they were given to the verb, for lockerd. Returns the new n. */
size_t lockerd_files(const Args *a, const char **argv, size_t n);
#define LOCKERD_FILES_MAX 4
