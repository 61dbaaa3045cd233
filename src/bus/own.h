/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bus/handler.h"

HANDLER(session_enrol_credential);
HANDLER(session_revoke_credential);
HANDLER(session_list_credentials);
