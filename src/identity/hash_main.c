/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-hash: does the slow and memory-hungry work on secrets, one question at a time. Started by lockerd
 * with its end of the socket pair as descriptor 3; leaves when the other end is closed. */
#include "base/log.h"
#include "identity/hash.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define MMAP_THRESHOLD (128 * 1024)

static int serve(void) {
        HashQuestion q;
        HashAnswer a;

        for (;;) {
                ssize_t n = recv(HASH_WIRE_FD, &q, sizeof(q), MSG_TRUNC);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return log_error_errno(-errno, "Cannot receive");
                if (n == 0)
                        return 0;
                if (n != sizeof(q)) {
                        log_error("A message of another version; leaving");
                        return -EPROTO;
                }
                hash_answer(&q, &a);
                explicit_bzero(&q, sizeof(q));
                n = send(HASH_WIRE_FD, &a, sizeof(a), MSG_NOSIGNAL);
                explicit_bzero(&a, sizeof(a));
                /* Nobody waits for the answer any more. */
                if (n < 0 && errno == EPIPE)
                        return 0;
                if (n < 0)
                        return log_error_errno(-errno, "Cannot send");
        }
}

int main(int argc, char **argv) {
        int type = 0;
        socklen_t n = sizeof(type);

        log_open();
        if (getsockopt(HASH_WIRE_FD, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_SEQPACKET) {
                log_error("lockerd-hash is started by lockerd; it does nothing by itself.");
                return 2;
        }
        /* No core dump, no debugger, and no longer alive than the daemon: secrets pass through this memory.
         */
        (void)prctl(PR_SET_DUMPABLE, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* Said explicitly, it stays there: otherwise the first block of scrypt's that is freed raises it
         * above the next one, and 16 MiB or more stay with a process that waits for questions. */
        (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        return serve() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
