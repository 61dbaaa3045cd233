/* SPDX-License-Identifier: Apache-2.0 */
/* The cabinet's object, part two: enrolled persons and lockouts. */
#pragma once

#include "bus/handler.h"

/* Shared with a person's own (own.c). */
int credential_read_kind(const char *word, CredentialKind *ret, sd_bus_error *e);
/* The a{sv} of a credential of this kind. */
int credential_read(sd_bus_message *m, const char *word, CredentialEnrolment *ret, sd_bus_error *e);
int credential_append_card(Bus *b, const LockerAnswer *a, sd_bus_message *reply);
int credential_append(void *userdata, const CredentialRow *c); /* a CredentialEach; userdata: the message */

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
