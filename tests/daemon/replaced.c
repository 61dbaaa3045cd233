/* SPDX-License-Identifier: Apache-2.0 */
/* A program in a worker's place that gives nothing up and tries what it can, see intruder.c. It stays for as
 * long as the daemon's end of its socket is open. */
#include "intruder.h"

#include <sys/socket.h>

int main(int argc, char *argv[]) {
        char byte;

        intruder_arm();
        intrude();
        while (recv(3, &byte, sizeof(byte), MSG_TRUNC) > 0)
                ;
        return 0;
}
