/* SPDX-License-Identifier: Apache-2.0 */
#include "base/srv_name.h"

#include <string.h>

#define LETTERS     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
#define SERVICE_MAX 15 /* RFC 6335 */
#define NAME_MAX_   253

bool srv_is_name(const char *name, size_t n) {
        static const char protocol[] = "._tcp.";
        size_t service = n && *name == '_' ? strspn(name + 1, LETTERS) : 0, begin;

        if (n > NAME_MAX_ || !service || service > SERVICE_MAX ||
            strncmp(name + 1 + service, protocol, sizeof(protocol) - 1) != 0)
                return false;
        begin = 1 + service + sizeof(protocol) - 1;
        for (size_t i = begin; i < n; i++)
                if (name[i] == '.' ? i == begin || name[i - 1] == '.' : !strchr(LETTERS, name[i]))
                        return false;
        return begin < n;
}

const char *srv_domain(const char *name) {
        return strchr(strchr(name, '.') + 1, '.') + 1;
}
