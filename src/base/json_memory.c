/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_memory.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* malloc_usable_size() is at least the requested size. A size field in front of the block would make the
 * text of json_dumps() invalid for free(). */
static void erase_and_free(void *block) {
        if (block)
                explicit_bzero(block, malloc_usable_size(block));
        free(block);
}

void json_memory_erase(void) {
        json_set_alloc_funcs(malloc, erase_and_free);
}
