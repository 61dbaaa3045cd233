/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/id_set.h"
#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t idset_place(const IdSet *s, uint64_t id) {
        size_t low = 0, high = s->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (s->ids[middle] < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

bool idset_has(const IdSet *s, uint64_t id) {
        size_t i = idset_place(s, id);
        return i < s->n && s->ids[i] == id;
}

int idset_add(IdSet *s, uint64_t id) {
        size_t i = idset_place(s, id);

        if (i < s->n && s->ids[i] == id)
                return 0;
        if (s->n == s->room) {
                size_t room = MAX(16, 2 * s->room);
                uint64_t *ids = reallocarray(s->ids, room, sizeof(*ids));
                if (!ids)
                        return -ENOMEM;
                s->ids = ids;
                s->room = room;
        }
        memmove(s->ids + i + 1, s->ids + i, (s->n - i) * sizeof(*s->ids));
        s->ids[i] = id;
        s->n++;
        return 0;
}

void idset_remove(IdSet *s, uint64_t id) {
        size_t i = idset_place(s, id);

        if (i >= s->n || s->ids[i] != id)
                return;
        s->n--;
        memmove(s->ids + i, s->ids + i + 1, (s->n - i) * sizeof(*s->ids));
}

void idset_done(IdSet *s) {
        free(s->ids);
        *s = (IdSet){0};
}
