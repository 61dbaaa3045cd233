/* SPDX-License-Identifier: Apache-2.0 */
/* What jansson reads and writes may be a code, a PIN, a password: its parser copies every string through a
 * buffer that grows, and frees the copies as they are. Called once by main(), before any JSON: from then on
 * whatever jansson gives up is overwritten first. Its texts are still freed with free(), by us;
 * text_erase_free() overwrites those. */
#pragma once

void json_memory_erase(void);
