/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-link --check SETUP: says what is configured, and tries it as a handheld would. */
#pragma once

/* Exit status: 0 all is well, 1 it is not, 2 no setup. */
int link_check(const char *setup);
