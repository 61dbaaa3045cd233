/* SPDX-License-Identifier: Apache-2.0 */
/* What lockerd-open and the worker that reads its device (lockerd-line, lockerd-fingerprint) say to each
 * other over a SOCK_SEQPACKET socket. The daemon makes it, tells lockerd-open the device (the path, as the
 * first packet), and gives its end to that worker, which so can have this device opened as often as it has
 * to, without the daemon, and none else.
 *
 *   worker → lockerd-open   one byte, whatever it is: open it
 *   lockerd-open → worker   OpenerAnswer, with the descriptor when `error` is 0 */
#pragma once

#include <stdint.h>

#define OPENER_FD       3   /* lockerd-open's end */
#define OPENER_PATH_MAX 255 /* bytes */

typedef struct OpenerAnswer {
        int32_t error; /* errno */
} OpenerAnswer;

/* For the worker, without waiting. Asks anew; what was asked for before and came too late is closed. 0 or
 * negative errno; -EPIPE: lockerd-open has ended. */
int opener_ask(int socket);
/* 1: an answer, with the open device in *ret_device, or -1 and why not in *ret_error (errno); 0: none yet;
 * -EPIPE, -ECONNRESET: lockerd-open has ended; another negative errno. */
int opener_take(int socket, int *ret_error, int *ret_device);
