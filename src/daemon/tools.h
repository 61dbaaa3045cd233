/* SPDX-License-Identifier: Apache-2.0 */
/* Long checks of the ledger, in separate processes: they read, print one line of JSON and exit. */
#pragma once

int tool_check_ledger(const char *path);
int tool_verify_audit(const char *path);
