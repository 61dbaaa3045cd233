/* SPDX-License-Identifier: Apache-2.0 */
/* Six bytes of question, one of framing, then what the line says. Whatever is believed must be exactly what a
 * board that understood the question would have said: it is built again from question and payload, and
 * compared. */
#include "line/modbus.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t expected(Framing framing, const Request *q, Verdict v, const Answer *a, uint8_t *out) {
        uint8_t *body = out + (framing == FRAMING_TCP ? 6 : 0);
        size_t n = 3;

        modbus_body(q, body);
        if (v == ANSWER_EXCEPTION) {
                body[1] |= 0x80;
                body[2] = a->exception;
        } else if (q->function == MODBUS_WRITE_COIL)
                n = MODBUS_BODY;
        else {
                body[2] = (uint8_t)a->n_data;
                memmove(body + 3, a->data, a->n_data);
                n += a->n_data;
        }
        if (framing == FRAMING_TCP) {
                memset(out, 0, 4);
                out[4] = (uint8_t)(n >> 8);
                out[5] = (uint8_t)n;
                return n + 6;
        }
        uint16_t crc = modbus_crc(body, n);
        body[n] = (uint8_t)crc;
        body[n + 1] = (uint8_t)(crc >> 8);
        return n + 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t built[ANSWER_MAX + 16];
        Answer a = {0}, unused = {0};

        if (size < MODBUS_BODY + 1)
                return 0;
        Request q = {data[0], data[1], (uint16_t)(data[2] << 8 | data[3]),
                     (uint16_t)(data[4] << 8 | data[5])};
        Framing framing = data[6] & 1 ? FRAMING_TCP : FRAMING_SERIAL;
        const uint8_t *bytes = data + MODBUS_BODY + 1;
        size_t n = size - MODBUS_BODY - 1;

        Verdict v = modbus_driver.judge(framing, &q, bytes, n, &a);
        if (!modbus_driver.same_shape(&q, &q) ||
            (v == ANSWER_GOOD && n != modbus_driver.answer_length(framing, &q)))
                abort();
        if (v != ANSWER_GOOD && v != ANSWER_EXCEPTION)
                return 0;
        if (n > ANSWER_MAX || expected(framing, &q, v, &a, built) != n || memcmp(built, bytes, n) != 0)
                abort();
        /* No piece of an answer is an answer. */
        for (size_t k = 0; k < n; k++)
                if (modbus_driver.judge(framing, &q, bytes, k, &unused) != ANSWER_INCOMPLETE)
                        abort();
        return 0;
}
