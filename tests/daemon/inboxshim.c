/* SPDX-License-Identifier: Apache-2.0 */
/* For LD_PRELOAD, by test_backend_kill.py: killshim.c, but it begins to count only when a message that holds
 * INBOXSHIM_TEXT comes in over a socket pair: from there on, the n-th call is the same one in every run,
 * whatever the lines and the pings did before. */
#include "killshim.c"

static bool armed;

/* Before anybody writes: killshim.c's constructor comes first, because it stands first in this file. */
__attribute__((constructor)) static void inboxshim_start(void) {
        armed = counting;
        counting = false;
}

EXPORT ssize_t recv(int fd, void *bytes, size_t n, int flags) {
        static const char *text;
        ssize_t r = REAL(recv)(fd, bytes, n, flags);
        int e = errno;

        if (armed && r > 0 && (text || (text = getenv("INBOXSHIM_TEXT"))) &&
            memmem(bytes, (size_t)r < n ? (size_t)r : n, text, strlen(text))) {
                armed = false;
                counting = true;
        }
        errno = e;
        return r;
}
