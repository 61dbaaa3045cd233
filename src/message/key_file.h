/* SPDX-License-Identifier: Apache-2.0 */
/* Files that hold one public key, named after its id. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What a file name may be, so that an id can never name anything outside the directory. */
bool key_id_is_fine(const char *id);
/* The whole of a file that nobody else could have put here or changed; fresh. NULL: ret_wrong says why not,
 * or is NULL when there was no memory. directory: as openat(2). */
char *key_file_read(int directory, const char *name, size_t *ret_n, const char **ret_wrong);
