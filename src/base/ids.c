/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ids.h"

#include <errno.h>
#include <stdlib.h>

int ids_add(Ids *all, uint64_t id) {
        uint64_t *grown = reallocarray(all->ids, all->n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        all->ids = grown;
        all->ids[all->n++] = id;
        return 0;
}

void ids_done(Ids *all) {
        free(all->ids);
        *all = (Ids){0};
}
