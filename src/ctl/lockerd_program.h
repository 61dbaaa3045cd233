/* SPDX-License-Identifier: Apache-2.0 */
/* Where lockerd itself is, for the verbs that run it. */
#pragma once

#include <limits.h>

const char *lockerd_program(char buffer[PATH_MAX]);
