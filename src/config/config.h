/* SPDX-License-Identifier: Apache-2.0 */
/* Reads lockerd.conf (+ lockerd.conf.d), cabinet.conf and the .board files into const structures. Every
 * complaint names file, line, key and the allowed values; all complaints are collected, not only the
 * first. */
#pragma once

#include "core/cabinet.h"
#include "core/settings.h"
#include <stdbool.h>

/* Values, units, ranges and defaults: lockerd.conf(5), cabinet.conf(5), lockerd.board(5). Reading from
 * memory: parse.h. */

/* The complaints of one run: lines "file:line: [Section] Key=value: what is wrong; what is allowed". */
typedef struct ConfigReport {
        char **lines;
        size_t n_lines;
} ConfigReport;

void config_report_clear(ConfigReport *r);

/* On failure *ret is untouched. -EINVAL: errors in the files, see the lines; anything else: a fault (a file
 * that cannot be read, no memory), described in a line.
 *
 * path NULL: the installed default (which may be absent: all defaults). A path that was named must exist.
 * Also reads the *.conf files of <path>.d in the order of their names. 0, or negative errno with ≥ 1 line in
 * the report.  */
int config_read_settings(const char *path, Settings **ret, ConfigReport *report);
/* A zone that is not installed is no error: UTC is used in its place, and whoever reads the configuration
 * warns of it. UTC needs no installation. */
bool config_timezone_is_installed(const char *name);
/* board_directory holds the profiles that the boards name. The result is consistent: every lock has a
 * contact or a latch, every channel exists and has one user, every pulse is within its profile, every
 * slot has a position. */
int config_read_cabinet(const char *path, const char *board_directory, Cabinet **ret, ConfigReport *report);
