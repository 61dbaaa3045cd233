/* SPDX-License-Identifier: Apache-2.0 */
/* The readers without the file system: bytes in, structures and complaints out. config.h puts files behind
 * them; tests and fuzzers put memory there. */
#pragma once

#include "config/complaints.h"

/* Where profiles come from. */
typedef struct ProfileSource {
        /* 0 and the bytes of the .board file and the path to name in complaints (both malloc'ed), or negative
         * errno. */
        int (*load)(void *userdata, const char *profile, char **ret_path, char **ret_data, size_t *ret_size);
        void *userdata;
        const char *place; /* the place of profiles, for messages */
} ProfileSource;

/* Applies one file on top of what `settings` already holds. */
void settings_apply(Complaints *c, Settings *settings, const char *path, const char *data, size_t size);
/* Checks across values, when every file has been applied. */
void settings_check(Complaints *c, const Settings *settings, const char *path);
/* All defaults; NULL when out of memory. */
Settings *settings_new_default(void);

/* `name` is the profile's. On complaints *profile may be half-filled; the caller frees name and title in any
 * case. */
void board_profile_parse(Complaints *c, const char *name, const char *path, const char *data, size_t size,
                         BoardProfile *profile);

/* 0, or negative errno with complaints. */
int cabinet_parse(const char *path, const char *data, size_t size, const ProfileSource *source, Cabinet **ret,
                  ConfigReport *report);
