/* SPDX-License-Identifier: Apache-2.0 */
/* Which cabinet of a community a parcel should go to: the one nearest to the recipient's residence that has a
 * fitting free position. Pure. */
#pragma once

#include "core/cabinet.h"

/* Free positions of one kind. */
typedef struct FreeKind {
        unsigned ordinal; /* of the size: a larger one holds everything that a smaller one holds */
        Temperature temperature;
        bool accessible;
        unsigned free;
} FreeKind;

typedef struct NearbyCabinet {
        const char *number;
        double latitude, longitude; /* degrees WGS84; NaN: unknown */
        bool fresh;                 /* its state is current: it is online and has been received */
        const FreeKind *kinds;
        size_t n_kinds;
} NearbyCabinet;

typedef struct NearestRequest {
        unsigned min_ordinal;
        bool accessible; /* only accessible positions */
        Temperature temperature;
        double latitude, longitude; /* the residence */
} NearestRequest;

typedef struct NearestChoice {
        size_t cabinet; /* index */
        double metres;
} NearestChoice;

/* Metres along the surface, with an error below half a percent. */
double nearest_distance(double latitude_a, double longitude_a, double latitude_b, double longitude_b);
bool nearest_fits(const NearbyCabinet *cabinet, const NearestRequest *request);
/* Fills ret (room for n) with those that fit, the nearest first, of equally near ones the first; returns
 * how many. Cabinets without coordinates or without a current state are not included. */
size_t nearest_choose(const NearbyCabinet *cabinets, size_t n, const NearestRequest *request,
                      NearestChoice *ret);
