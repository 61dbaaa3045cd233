/* SPDX-License-Identifier: Apache-2.0 */
/* An exported object. */
#pragma once

#include "bus/bus.h"

/* The userdata of getters and handlers: every exported object begins with it. */
typedef struct Node {
        Bus *bus;
} Node;
