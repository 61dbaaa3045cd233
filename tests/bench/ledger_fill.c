/* SPDX-License-Identifier: Apache-2.0 */
/* ledger-fill PATH N [KEYFILE]: makes the ledger PATH (and its key, default PATH.key) if need be, and adds N
 * ended parcels. */
#include "base/text.h"
#include "fill_history.h"

#include <stdio.h>
#include <sys/stat.h>

static void say(uint64_t done, uint64_t n) {
        if (isatty(STDERR_FILENO))
                fprintf(stderr, "\r%llu of %llu parcels", (unsigned long long)done, (unsigned long long)n);
}

int main(int argc, char **argv) {
        _cleanup_(vault_freep) Vault *vault = NULL;
        _cleanup_(ledger_freep) Ledger *ledger = NULL;
        _cleanup_free_ char *detail = NULL, *key = NULL;
        LedgerProblem problem;
        uint64_t n = 0;

        if (argc < 3 || argc > 4 || text_to_u64(argv[2], 100000000, &n) < 0) {
                fprintf(stderr, "usage: %s PATH N [KEYFILE]\n", argv[0]);
                return 2;
        }
        key = argc == 4 ? strdup(argv[3]) : text_printf("%s.key", argv[1]);
        if (!key)
                return 1;
        int r = vault_load(&vault, key, true);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", key, strerror(-r));
                return 1;
        }
        r = ledger_open(&ledger, argv[1], vault, &problem, &detail);
        if (r < 0) {
                fprintf(stderr, "%s\n%s\n", ledger_problem_sentence(problem), detail ? detail : "");
                return 1;
        }
        vault = NULL;
        r = fill_history(ledger, n, say);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
                return 1;
        }
        return 0;
}
