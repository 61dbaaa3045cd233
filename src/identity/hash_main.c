/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-hash: does the slow and memory-hungry work on secrets, one question at a time; leaves when the
 * daemon's end is closed. */
#include "base/confine.h"
#include "base/log.h"
#include "base/worker.h"
#include "identity/hash.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/socket.h>

#define MMAP_THRESHOLD  (128 * 1024)
#define ANSWER_SEC      15
#define MEMORY_MAX      (1088UL * 1024 * 1024) /* bytes: the gigabyte of HASH_LOG_N_MAX, and more */
#define DESCRIPTORS_MAX 8

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
                /* The daemon waits for ten seconds; then nobody needs this process, whatever it is doing. */
                (void)alarm(ANSWER_SEC);
                hash_answer(&q, &a);
                (void)alarm(0);
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

/* OpenSSL reads and loads what it needs at its first work. */
static void prepare(void) {
        const HashQuestion nobody = {
                .version = HASH_WIRE_VERSION, .verb = HASH_VERIFY_NOTHING, .log_n = HASH_LOG_N_MIN};
        HashAnswer a;

        hash_answer(&nobody, &a);
}

int main(int argc, char **argv) {
        static const Confinement confinement = {.memory = MEMORY_MAX, .descriptors = DESCRIPTORS_MAX};

        worker_begin(argc, argv);
        prepare();
        /* Said explicitly, it stays there: otherwise the first block of scrypt's that is freed raises it
         * above the next one, and 16 MiB or more stay with a process that waits for questions. */
        (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        return confine(&confinement) < 0 || serve() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
