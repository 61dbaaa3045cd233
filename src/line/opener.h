/* SPDX-License-Identifier: Apache-2.0 */
/* What lockerd-line and lockerd-open say to each other over a SOCK_SEQPACKET socket. The daemon makes it,
 * tells lockerd-open the device (the path, as the first packet), and gives its end to lockerd-line, which so
 * can have this device opened as often as it has to, without the daemon, and none else.
 *
 *   lockerd-line → lockerd-open   one byte, whatever it is: open it
 *   lockerd-open → lockerd-line   OpenerAnswer, with the descriptor when `error` is 0 */
#pragma once

#include <stdint.h>

#define OPENER_FD       3   /* lockerd-open's end */
#define OPENER_PATH_MAX 255 /* bytes */

typedef struct OpenerAnswer {
        int32_t error; /* errno */
} OpenerAnswer;
