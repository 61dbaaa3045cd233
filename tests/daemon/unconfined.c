/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that gives nothing up, for test_kill.py: what is preloaded into it has to look at files. */
#include "base/confine.h"
#include "base/log.h"
#include "base/worker.h"

void worker_begin(int argc, char *argv[]) {
        log_open();
}

void worker_is_alive(void) {
}

int confine(const Confinement *c) {
        return 0;
}
