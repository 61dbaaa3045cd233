/* SPDX-License-Identifier: Apache-2.0 */
/* The cabinet's object, part two: enrolled persons and lockouts. */
#pragma once

#include "bus/handler.h"

HANDLER(cabinet_enrol);
HANDLER(cabinet_revoke);
HANDLER(cabinet_enrol_credential);
HANDLER(cabinet_cancel_enrolment);
HANDLER(cabinet_revoke_credential);
HANDLER(cabinet_list_credentials);
HANDLER(cabinet_list_people);
HANDLER(cabinet_list_enrolled);
HANDLER(cabinet_list_lockouts);
HANDLER(cabinet_lift_lockout);
