/* SPDX-License-Identifier: Apache-2.0 */
#include "core/limits.h"

#include "base/macros.h"

size_t limit_of(const char *name) {
        static const struct {
                const char *name;
                size_t max;
        } limits[] = {
                {"number", LIMIT_NUMBER},   {"courier", LIMIT_NUMBER},    {"phone", LIMIT_PHONE},
                {"pin", LIMIT_PIN},         {"password", LIMIT_PASSWORD}, {"waybill", LIMIT_WAYBILL},
                {"pattern", LIMIT_PATTERN}, {"card", LIMIT_CARD},
        };

        for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
                if (streq(limits[i].name, name))
                        return limits[i].max;
        return LIMIT_TEXT;
}
