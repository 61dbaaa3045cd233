/* SPDX-License-Identifier: Apache-2.0 */
/* Replies: at once, or when the locker answers. */
#pragma once

#include "bus/bus.h"
#include <systemd/sd-bus.h>

/* Maps a result (Refusal, or negative errno, which is logged here) to a D-Bus error; the only such
 * place. detail: NULL or "" for the refusal's own sentence. Returns the negative errno that belongs to
 * the error; never 0. */
int bus_failure(sd_bus_error *e, sd_bus_message *m, int result, const char *detail);
/* Sends it as the reply to m. */
void bus_reply_failure(sd_bus_message *m, int result, const char *detail);
/* For use cases without an answer: an empty reply or the failure. */
int bus_reply_result(sd_bus_message *m, int result, sd_bus_error *e);

/* A call that the locker answers later. */
typedef struct Call {
        Bus *bus; /* NULL: the bus has gone meanwhile */
        sd_bus_message *message;
        int (*append)(Bus *b, const LockerAnswer *a, sd_bus_message *reply); /* NULL: the reply is empty */
        bool secret;
        bool enrols; /* a person is waited for, perhaps at a reader: it may be cancelled */
        struct Call *previous, *next;
} Call;
typedef int (*CallAppend)(Bus *b, const LockerAnswer *a, sd_bus_message *reply);

int call_new(Bus *b, sd_bus_message *m, CallAppend append, bool secret, Call **ret);
void call_answer(void *userdata, const LockerAnswer *a); /* a LockerReply; frees the call */
void calls_abandon(Bus *b);
/* Ends the enrolments that this connection waits for. How many there were. */
unsigned calls_cancel_enrolments(Bus *b, const char *name);
