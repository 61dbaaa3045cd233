/* SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint_usb/worker.h"

#define HEADER           8
#define VERSION          1
#define SOURCE_LIBFPRINT 2

uint8_t *template_write(FpPrint *print, size_t *ret_n) {
        g_autofree guchar *data = NULL;
        gsize n = 0;

        if (!fp_print_serialize(print, &data, &n, NULL))
                return NULL;
        uint8_t *all = n <= MIN((size_t)UINT16_MAX, (size_t)MATCHER_TEMPLATE_MAX - HEADER)
                               ? malloc(HEADER + n)
                               : NULL;
        if (all) {
                memcpy(all,
                       (const uint8_t[HEADER]){'F', 'P', VERSION, SOURCE_LIBFPRINT, 0, 0, (uint8_t)(n >> 8),
                                               (uint8_t)n},
                       HEADER);
                memcpy(all + HEADER, data, n);
                *ret_n = HEADER + n;
        }
        explicit_bzero(data, n);
        return all;
}

int template_read(const uint8_t *data, size_t n, FpDevice *reader, FpPrint **ret) {
        if (n <= HEADER || data[0] != 'F' || data[1] != 'P' || data[2] != VERSION)
                return MATCHER_PROBLEM_BAD_TEMPLATE;
        if (data[3] != SOURCE_LIBFPRINT)
                return MATCHER_PROBLEM_OTHER_READER;
        if (data[4] || data[5] || (size_t)(data[6] << 8 | data[7]) != n - HEADER)
                return MATCHER_PROBLEM_BAD_TEMPLATE;
        g_autoptr(FpPrint) print = fp_print_deserialize(data + HEADER, n - HEADER, NULL);
        if (!print)
                return MATCHER_PROBLEM_BAD_TEMPLATE;
        if (!fp_print_compatible(print, reader))
                return MATCHER_PROBLEM_OTHER_READER;
        *ret = g_steal_pointer(&print);
        return 0;
}
