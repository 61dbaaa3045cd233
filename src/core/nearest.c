/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nearest.h"

#include <math.h>

#define EARTH_METRES 6371008.8
#define RADIANS      (3.14159265358979323846 / 180)

double nearest_distance(double latitude_a, double longitude_a, double latitude_b, double longitude_b) {
        double half_north = sin((latitude_b - latitude_a) * RADIANS / 2);
        double half_east = sin((longitude_b - longitude_a) * RADIANS / 2);
        double h = half_north * half_north +
                   cos(latitude_a * RADIANS) * cos(latitude_b * RADIANS) * half_east * half_east;

        /* Rounding may make it larger than 1 for antipodes. */
        return 2 * EARTH_METRES * asin(sqrt(h < 1 ? h : 1));
}

bool nearest_fits(const NearbyCabinet *cabinet, const NearestRequest *request) {
        for (size_t i = 0; i < cabinet->n_kinds; i++) {
                const FreeKind *k = &cabinet->kinds[i];
                if (k->free > 0 && k->ordinal >= request->min_ordinal &&
                    k->temperature == request->temperature && (k->accessible || !request->accessible))
                        return true;
        }
        return false;
}

size_t nearest_choose(const NearbyCabinet *cabinets, size_t n, const NearestRequest *request,
                      NearestChoice *ret) {
        size_t found = 0;

        for (size_t i = 0; i < n; i++) {
                const NearbyCabinet *c = &cabinets[i];
                if (!c->fresh || isnan(c->latitude) || isnan(c->longitude) || !nearest_fits(c, request))
                        continue;
                double metres =
                        nearest_distance(request->latitude, request->longitude, c->latitude, c->longitude);
                size_t at = found++;
                for (; at > 0 && ret[at - 1].metres > metres; at--)
                        ret[at] = ret[at - 1];
                ret[at] = (NearestChoice){.cabinet = i, .metres = metres};
        }
        return found;
}
