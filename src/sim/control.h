/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: one command a line in, one JSON object a line out. */
#pragma once

#include "sim/model.h"

int control_start(Sim *s, const char *path); /* 0, or -errno with a message on stderr */
void control_stop(Sim *s);
/* The client's side: sends one command, prints the answer. The exit status: 0 ok, 1 refused, 2 no answer. */
int control_send(const char *path, const char *command);
