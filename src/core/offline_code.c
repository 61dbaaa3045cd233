/* SPDX-License-Identifier: Apache-2.0 */
#include "core/offline_code.h"

static const char key_label[] = "lockerd offline key 1";
static const char code_label[] = "lockerd offline code 1";

static size_t put_text(uint8_t *ret, const char *text) {
        size_t n = MIN(strlen(text), (size_t)OFFLINE_TEXT_MAX);

        ret[0] = (uint8_t)n;
        memcpy(ret + 1, text, n);
        return 1 + n;
}

static size_t put_number(uint8_t *ret, uint64_t number) {
        for (int i = 7; i >= 0; i--, number >>= 8)
                ret[i] = (uint8_t)number;
        return 8;
}

size_t offline_key_info(const OfflineDeposit *d, uint8_t ret[OFFLINE_DATA_MAX]) {
        size_t n = sizeof(key_label); /* with its NUL */

        memcpy(ret, key_label, n);
        n += put_text(ret + n, d->cabinet);
        n += put_text(ret + n, d->slot);
        n += put_number(ret + n, (uint64_t)d->usec);
        n += put_number(ret + n, d->parcel);
        return n;
}

size_t offline_code_message(const OfflineDeposit *d, uint8_t ret[OFFLINE_DATA_MAX]) {
        size_t n = sizeof(code_label);

        memcpy(ret, code_label, n);
        n += put_text(ret + n, d->slot);
        n += put_number(ret + n, (uint64_t)d->usec);
        return n;
}

void offline_code_of(CodeAlphabet alphabet, const uint8_t mac[OFFLINE_MAC_SIZE], char ret[CODE_LENGTH + 1]) {
        uint64_t first = 0;

        for (int i = 0; i < 8; i++)
                first = first << 8 | mac[i];
        code_from_random(alphabet, first, ret);
}
