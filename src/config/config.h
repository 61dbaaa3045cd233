/* SPDX-License-Identifier: Apache-2.0 */
/* Reads lockerd.conf (+ lockerd.conf.d), cabinet.conf and the .board files into const structures. Every complaint names file,
 * line and key and says what is allowed; all complaints are collected, not only the first. */
#pragma once

#include "core/cabinet.h"
#include "core/settings.h"
#include <stdbool.h>

/* The complaints of one run: lines "file:line: [Section] Key=value: what is wrong; what is allowed". */
typedef struct ConfigReport {
        char **lines;
        size_t n_lines;
} ConfigReport;

void config_report_clear(ConfigReport *r);

/* path NULL: the installed default (which may be absent: all defaults). A path that was named must exist.
 * Also reads the *.conf files of <path>.d in the order of their names. 0, or negative errno with ≥ 1 line in the report. */
int config_read_settings(const char *path, Settings **ret, ConfigReport *report);
/* board_directory holds the profiles that the boards name. */
int config_read_cabinet(const char *path, const char *board_directory, Cabinet **ret, ConfigReport *report);
