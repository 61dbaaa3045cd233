/* SPDX-License-Identifier: Apache-2.0 */
/* Board, function and lock, then what the line says. Whatever is believed must be exactly the frame that a
 * board would have sent. */
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

        Verdict v = winnsen_driver.judge(FRAMING_SERIAL, &q, bytes, n, &a);
        if (v != ANSWER_GOOD && v != ANSWER_EXCEPTION)
                return 0;
        uint8_t value = v == ANSWER_EXCEPTION ? a.exception : a.data[0];
        uint8_t built[7] = {0x90,  7, (uint8_t)(q.function + 0x80), q.unit, (uint8_t)(q.address + 1),
                            value, 3};
        if (n != sizeof(built) || memcmp(built, bytes, n) != 0 || value > 2 ||
            (value == 2) != (v == ANSWER_EXCEPTION) || winnsen_driver.answer_length(FRAMING_SERIAL, &q) != n)
                abort();
        /* No piece of a response is a response. */
        for (size_t k = 0; k < n; k++)
                if (winnsen_driver.judge(FRAMING_SERIAL, &q, bytes, k, &unused) != ANSWER_INCOMPLETE)
                        abort();
        return 0;
}
