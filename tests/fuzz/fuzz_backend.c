/* SPDX-License-Identifier: Apache-2.0 */
/* What others write and this cabinet believes: moments (RFC 3339) and the states of neighbours. A moment that
 * is taken is written and read back as itself; whatever a neighbour says, a recommendation names only
 * cabinets of the community. */
#include "base/text.h"
#include "message/neighbours.h"
#include "message/rfc3339.h"

#include <errno.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good) {
        if (!good)
                abort();
}

static void as_moment(const char *text) {
        char again[RFC3339_MAX];
        int64_t wall = -1, same = -1;

        int r = rfc3339_parse(text, &wall);
        expect(r == 0 || ((r == -EINVAL || r == -ERANGE) && wall == -1));
        if (r < 0)
                return;
        rfc3339_format(wall, again);
        expect(strlen(again) < RFC3339_MAX && rfc3339_parse(again, &same) == 0);
        expect(same == wall);
}

static bool is_ours(const char *number) {
        return number && (streq(number, "C-1") || streq(number, "C-2") || streq(number, "C-3"));
}

static void as_state(const uint8_t *data, size_t size) {
        const FreeKind own_kind = {.ordinal = 1, .free = size % 2};
        const NearbyCabinet own = {.number = "C-1",
                                   .latitude = 52,
                                   .longitude = 13,
                                   .fresh = true,
                                   .kinds = &own_kind,
                                   .n_kinds = 1};
        const NearestRequest request = {
                .min_ordinal = 1, .latitude = size % 3 ? 52.5 : NAN, .longitude = 13.4};
        _cleanup_(neighbours_freep) Neighbours *n = NULL;
        json_t *result = NULL;

        expect(neighbours_new(&n, "C-1", "C-2 C-3") == 0 && neighbours_count(n) == 2);
        neighbours_hear(n, 0, data, size);
        neighbours_hear(n, 1, data, size / 2);
        int r = neighbours_recommend(n, &own, &request, &result);
        expect(r == 0 || r > 0);
        if (r)
                return;
        size_t i;
        json_t *other;
        expect(is_ours(json_string_value(json_object_get(result, "cabinet"))));
        json_array_foreach(json_object_get(result, "alternatives"), i, other)
                expect(is_ours(json_string_value(json_object_get(other, "cabinet"))));
        json_decref(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = strndup((const char *)data, size);

        expect(text);
        as_moment(text);
        as_state(data, size);
        return 0;
}
