/* SPDX-License-Identifier: Apache-2.0 */
/* Winnsen's boards: 90 LEN FN STATION LOCK [VALUE] 03, LEN being the length of all of it; locks count from 1.
 * FN 05 unlocks (response 85, value 01: done), FN 12 asks for one lock (response 92, value 01: open). */
#include "sim/coil.h"
#include "sim/language.h"
#include "sim/place.h"

static int length(const uint8_t *bytes, size_t n) {
        if (bytes[0] != 0x90)
                return -1;
        if (n < 2)
                return 0;
        return bytes[1] == 6 ? 6 : -1;
}

static bool open_request(const uint8_t *bytes, size_t n, uint8_t *ret_address, Pdu *ret) {
        if (n != 6 || bytes[0] != 0x90 || bytes[1] != 6 || bytes[5] != 0x03)
                return false;
        *ret_address = bytes[3];
        *ret = (Pdu){.bytes = {bytes[2], bytes[4]}, .n = 2};
        return true;
}

/* Locks that do not exist are not responded to. */
static void handle(Board *b, const Pdu *request, uint64_t at, Pdu *ret) {
        unsigned lock = request->bytes[1];

        ret->n = 0;
        if (!lock || lock > b->profile->outputs)
                return;
        *ret = (Pdu){.bytes = {(uint8_t)(request->bytes[0] + 0x80), (uint8_t)lock, 1}, .n = 3};
        switch (request->bytes[0]) {
        case 0x05:
                coil_flash(&b->coils[lock - 1], true, b->profile->pulse, at);
                return;
        case 0x12:
                ret->bytes[2] = lock <= b->profile->inputs && input_read(&b->inputs[lock - 1]);
                return;
        default:
                ret->n = 0;
        }
}

static void frame(Sending *s, uint8_t address, const Pdu *pdu) {
        const uint8_t bytes[] = {0x90, 7, pdu->bytes[0], address, pdu->bytes[1], pdu->bytes[2], 0x03};

        memcpy(s->bytes, bytes, sizeof(bytes));
        s->n = sizeof(bytes);
}

const Language winnsen_language = {
        .name = "winnsen",
        .address_max = 255,
        .length = length,
        .open = open_request,
        .handle = handle,
        .frame = frame,
};
