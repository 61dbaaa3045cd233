/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a worker that forgets its environment: what libfprint's virtual readers, and ALSA, are told
 * stays. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int clearenv(void);
int clearenv(void) {
        static const char *const names[] = {"FP_VIRTUAL_IMAGE", "FP_VIRTUAL_DEVICE",
                                            "FP_VIRTUAL_DEVICE_STORAGE", "ALSA_CONFIG_PATH"};
        char *kept[4] = {NULL};

        for (int i = 0; i < 4; i++)
                kept[i] = getenv(names[i]) ? strdup(getenv(names[i])) : NULL;
        environ = NULL;
        for (int i = 0; i < 4; i++)
                if (kept[i]) {
                        (void)setenv(names[i], kept[i], 1);
                        free(kept[i]);
                }
        return 0;
}
