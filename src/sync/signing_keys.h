/* SPDX-License-Identifier: Apache-2.0 */
/* Who may sign, and who may read secrets. */
#pragma once

#include "sync/sync.h"

int keys_load(Sync *s);
