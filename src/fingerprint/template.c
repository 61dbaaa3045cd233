/* SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint/template.h"
#include "fingerprint/packet.h"

#include <errno.h>

#define VERSION     1
#define SOURCE_UART 1

size_t template_write(const Template *t, uint8_t ret[TEMPLATE_MAX]) {
        memcpy(ret, (const uint8_t[]){'F', 'P', VERSION, SOURCE_UART}, 4);
        put_u16(ret + 4, t->system_id);
        put_u16(ret + 6, (unsigned)t->n);
        memcpy(ret + TEMPLATE_HEADER, t->code, t->n);
        return TEMPLATE_HEADER + t->n;
}

int template_read(const uint8_t *data, size_t n, Template *ret) {
        if (n < TEMPLATE_HEADER || data[0] != 'F' || data[1] != 'P' || data[2] != VERSION)
                return -EINVAL;
        if (data[3] != SOURCE_UART)
                return -EXDEV;
        size_t length = get_u16(data + 6);
        if (length != n - TEMPLATE_HEADER || length < TEMPLATE_CODE_MIN || length > TEMPLATE_CODE_MAX)
                return -EINVAL;
        *ret = (Template){.system_id = get_u16(data + 4), .code = data + TEMPLATE_HEADER, .n = length};
        return 0;
}
