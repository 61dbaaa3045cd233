/* SPDX-License-Identifier: Apache-2.0 */
/* JSON may contain a code, a PIN or a password: jansson's parser copies every string through a growing
 * buffer and frees the copies without erasing them. Called once by main(), before any JSON: from then on
 * all memory that jansson frees is overwritten first. Texts returned by jansson are freed by the caller;
 * text_erase_free() overwrites those. */
#pragma once

void json_memory_erase(void);
