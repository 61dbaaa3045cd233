/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "locker/locker.h"

/* Nobody waits any more for what this session's person enrols; false: nothing is. */
bool session_give_up_enrolment(Session *s);
