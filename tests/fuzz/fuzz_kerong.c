/* SPDX-License-Identifier: Apache-2.0 */
/* Board, command and lock, then what the line says. Whatever is believed must be exactly the frame that a
 * board would have sent: it is built again from request and payload, and compared. */
#include "line/driver.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Answer a = {0}, unused = {0};

        if (size < 3)
                return 0;
        Request q = {.unit = data[0], .function = data[1], .address = data[2]};
        const uint8_t *bytes = data + 3;
        size_t n = size - 3;

        if (kerong_driver.judge(FRAMING_SERIAL, &q, bytes, n, &a) != ANSWER_GOOD)
                return 0;
        uint8_t built[9] = {0x02, bytes[1], 0x35, a.data[0], a.data[1], a.data[2], a.data[3], 0x03};
        for (size_t i = 0; i < 8; i++)
                built[8] = (uint8_t)(built[8] + built[i]);
        if (n != sizeof(built) || a.n_data != 4 || memcmp(built, bytes, n) != 0 || bytes[1] >> 4 != q.unit ||
            kerong_driver.answer_length(FRAMING_SERIAL, &q) != n)
                abort();
        /* No piece of a response is a response. */
        for (size_t k = 0; k < n; k++)
                if (kerong_driver.judge(FRAMING_SERIAL, &q, bytes, k, &unused) != ANSWER_INCOMPLETE)
                        abort();
        return 0;
}
