/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and errors that end with their block. */
#pragma once

#include "base/macros.h"
#include <systemd/sd-bus.h>

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_error_   _cleanup_(sd_bus_error_free)
