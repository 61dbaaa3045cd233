/* SPDX-License-Identifier: Apache-2.0 */
/* What was set while running and wins over the configuration. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

int ledger_setting_get(Ledger *l, const char *name, int64_t *ret); /* -ENOENT */
int ledger_setting_set(Ledger *l, const char *name, int64_t value);
