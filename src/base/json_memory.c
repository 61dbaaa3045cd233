/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_memory.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* What the allocator keeps at the block, which is at least what was asked for. A size of our own in front of
 * it would make json_dumps()'s text something that free() does not take. */
static void erase_and_free(void *block) {
        if (block)
                explicit_bzero(block, malloc_usable_size(block));
        free(block);
}

void json_memory_erase(void) {
        json_set_alloc_funcs(malloc, erase_and_free);
}
