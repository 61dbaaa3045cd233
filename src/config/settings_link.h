/* SPDX-License-Identifier: Apache-2.0 */
/* [Link]: its keys, and what must fit together. */
#pragma once

#include "config/complaints.h"
#include "config/keys.h"
#include "core/settings.h"

#define N_LINK_KEYS 9
extern const ConfigKey link_keys[N_LINK_KEYS];

void settings_check_link(Complaints *c, const char *file, const LinkSettings *l);
