/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a worker that forgets its environment: what libfprint's virtual reader is told stays. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int clearenv(void);
int clearenv(void) {
        const char *reader = getenv("FP_VIRTUAL_IMAGE");
        char *kept = reader ? strdup(reader) : NULL;

        environ = NULL;
        if (!kept)
                return 0;
        int r = setenv("FP_VIRTUAL_IMAGE", kept, 1);
        free(kept);
        return r;
}
