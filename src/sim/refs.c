/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/refs.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>

#define DIGITS_MAX 6
#define RANGE_MAX  1000

static int names_add(Names *n, char *name) {
        char **grown = name ? reallocarray(n->names, n->n + 1, sizeof(*grown)) : NULL;

        if (!grown) {
                free(name);
                return -ENOMEM;
        }
        n->names = grown;
        grown[n->n++] = name;
        return 0;
}

/* The digits at the end of the first n characters of s. */
static size_t digits_at_end(const char *s, size_t n) {
        size_t digits = 0;

        while (digits < n && isdigit((unsigned char)s[n - 1 - digits]))
                digits++;
        return digits;
}

/* The '-' between two numbers with the same prefix; a label may have others. */
static const char *range_dash(const char *text, size_t *ret_prefix) {
        for (const char *dash = strchr(text, '-'); dash; dash = strchr(dash + 1, '-')) {
                size_t left = (size_t)(dash - text), digits = digits_at_end(text, left),
                       prefix = left - digits;
                const char *end = dash + 1;
                if (!digits || digits > DIGITS_MAX || strncmp(text, end, prefix) != 0)
                        continue;
                if (!text_is_digits(end + prefix) || strlen(end + prefix) > DIGITS_MAX)
                        continue;
                *ret_prefix = prefix;
                return dash;
        }
        return NULL;
}

static int labels_parse(const char *text, Names *ret) {
        size_t prefix;
        const char *dash = range_dash(text, &prefix), *from = text + (dash ? prefix : 0);

        if (!dash)
                return names_add(ret, strdup(text));
        unsigned long first = strtoul(from, NULL, 10), last = strtoul(dash + 1 + prefix, NULL, 10);
        int width = from[0] == '0' && isdigit((unsigned char)from[1]) ? (int)(dash - from) : 1;
        if (last < first || last - first >= RANGE_MAX)
                return -EINVAL;
        for (unsigned long i = first; i <= last; i++) {
                int r = names_add(ret, text_printf("%.*s%0*lu", (int)prefix, text, width, i));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int positions_parse(const char *numbers, const Names *slots, Names *ret) {
        const char *dash = strchr(numbers, '-');
        _cleanup_free_ char *left = strndup(numbers, dash ? (size_t)(dash - numbers) : strlen(numbers));
        uint64_t first, last;

        if (!left)
                return -ENOMEM;
        if (!text_is_digits(left) || (dash && !text_is_digits(dash + 1)))
                return -EINVAL;
        first = strtoull(left, NULL, 10);
        last = dash ? strtoull(dash + 1, NULL, 10) : first;
        if (!first || last < first || last - first >= RANGE_MAX)
                return -EINVAL;
        for (size_t s = 0; s < slots->n; s++)
                for (uint64_t i = first; i <= last; i++) {
                        int r = names_add(ret, text_printf("%s/%ju", slots->names[s], (uintmax_t)i));
                        if (r < 0)
                                return r;
                }
        return 0;
}

int names_parse(const char *text, Names *ret) {
        const char *slash = strchr(text, '/');
        _cleanup_free_ char *label = strndup(text, slash ? (size_t)(slash - text) : strlen(text));
        _cleanup_(names_clear) Names slots = {0};

        *ret = (Names){0};
        if (!label)
                return -ENOMEM;
        if (!slash)
                return labels_parse(text, ret);
        int r = labels_parse(label, &slots);
        return r < 0 ? r : positions_parse(slash + 1, &slots, ret);
}

void names_clear(Names *n) {
        for (size_t i = 0; i < n->n; i++)
                free(n->names[i]);
        free(n->names);
        *n = (Names){0};
}

static int refs_add(Refs *r, const char *board, size_t n, unsigned channel) {
        Ref *grown = reallocarray(r->refs, r->n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        r->refs = grown;
        grown[r->n] = (Ref){.board = strndup(board, n), .channel = channel};
        return grown[r->n++].board ? 0 : -ENOMEM;
}

/* "A:3" or "A:1-6" */
static int parse_part(char *part, Refs *ret) {
        char *colon = strchr(part, ':');
        uint64_t first, last;

        if (!colon || colon == part)
                return -EINVAL;
        char *dash = strchr(colon, '-');
        if (dash)
                *dash = 0;
        if (text_to_u64(colon + 1, 9999, &first) < 0 || !first)
                return -EINVAL;
        last = first;
        if (dash && (text_to_u64(dash + 1, 9999, &last) < 0 || last < first))
                return -EINVAL;
        for (uint64_t c = first; c <= last; c++) {
                int r = refs_add(ret, part, (size_t)(colon - part), (unsigned)c);
                if (r < 0)
                        return r;
        }
        return 0;
}

int refs_parse(const char *text, Refs *ret) {
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *part;
        int r = 0;

        *ret = (Refs){0};
        if (!copy)
                return -ENOMEM;
        while (r == 0 && (part = strsep(&rest, ","))) {
                part += strspn(part, " \t");
                part[strcspn(part, " \t")] = 0;
                r = parse_part(part, ret);
        }
        if (r < 0)
                refs_clear(ret);
        return r;
}

void refs_clear(Refs *r) {
        for (size_t i = 0; i < r->n; i++)
                free(r->refs[i].board);
        free(r->refs);
        *r = (Refs){0};
}
