/* SPDX-License-Identifier: Apache-2.0 */
/* What lockerd does besides serving a cabinet. Long checks of the ledger run in separate processes: they
 * read, print one line of JSON and exit. */
#pragma once

#include "core/cabinet.h"
#include "core/settings.h"

int tool_check_ledger(const char *path);
/* key: file of the cabinet's key, unless there is a systemd credential; head: from earlier, or NULL. */
int tool_verify_audit(const char *path, const char *key, const char *head);

/* Says what is configured of the link and tries it, by lockerd-link --check. Returns only when that cannot be
 * run, or there is no link. */
int tool_check_link(const Settings *settings, const Cabinet *cabinet);

/* Puts a backup in the place of the ledger; restore.c. */
typedef struct RestoreOptions {
        const char *file, *reason;
        bool nothing_since, renumber;
} RestoreOptions;
int tool_restore(const Settings *settings, const Cabinet *cabinet, const RestoreOptions *o);
