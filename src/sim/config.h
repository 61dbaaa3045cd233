/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the model from cabinet.conf and the profiles its boards name. Keys without a meaning here are
 * ignored. */
#pragma once

#include "sim/model.h"

/* 0, or negative with *ret_complaint set to a sentence for stderr. model_clear() in either case. */
int model_read(Sim *s, const char *cabinet, const char *boards, char **ret_complaint);
void model_clear(Sim *s);
