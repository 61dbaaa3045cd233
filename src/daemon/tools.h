/* SPDX-License-Identifier: Apache-2.0 */
/* Long looks at the ledger that lockerd runs in processes of its own: they read, print one line of JSON and
 * leave. */
#pragma once

int tool_check_ledger(const char *path);
int tool_verify_audit(const char *path);
