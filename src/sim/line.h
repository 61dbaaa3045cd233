/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line as its master sees it: a pty on which every byte takes the time the wire would take.
 * Requests are collected here, shown to all boards (answer.h), and their responses are put on the wire.
 */
#pragma once

#include "sim/model.h"

#define FRAME_MAX 280

struct Sending {
        Sending *next;
        uint64_t start, step; /* when the first byte begins, how long each takes */
        uint64_t client;      /* Modbus TCP: whose request it was; 0 on a pty */
        bool clean; /* a correct response: the master must keep 3.5 characters of silence after it */
        size_t n, done;
        uint8_t bytes[FRAME_MAX];
};

/* Opens the pty and makes the link. 0, or -errno with a message on stderr. */
int line_start(Line *l);
void line_stop(Line *l);
/* Puts a copy on the wire, not before its start; frames follow each other without overlapping. */
void line_send(Line *l, const Sending *what);
/* Random bytes every so often; 0 ends that. */
void line_babble(Line *l, uint64_t every);
/* Bytes from a master. */
void line_received(Line *l, const uint8_t *bytes, size_t n, uint64_t now);
/* A master has come; the last one has gone: what stays energised for a second longer is an objection. */
void line_opened(Line *l, uint64_t at);
void line_left(Line *l, uint64_t at);
