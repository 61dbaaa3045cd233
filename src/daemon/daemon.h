/* SPDX-License-Identifier: Apache-2.0 */
/* The wiring: one event loop, one timer, ownership of the parts. */
#pragma once

#include "core/cabinet.h"
#include "core/settings.h"

/* Exit statuses beside 0 and 1, as in sysexits.h. The unit does not restart after the first two: a restart
 * cannot help. */
enum {
        EXIT_BAD_CONFIG = 78, /* EX_CONFIG */
        EXIT_BAD_LEDGER = 65, /* EX_DATAERR: damaged, from a newer version, sealed with another key */
        EXIT_IO = 74,         /* EX_IOERR: full disk, file locked by another process */
};

/* Runs until a signal stops it; returns the exit status. */
int daemon_run(const Settings *settings, const Cabinet *cabinet);
