/* SPDX-License-Identifier: Apache-2.0 */
/* What the other cabinets of the community say of themselves (their retained states), and which of all is the
 * one to recommend (E6). As many are kept as the configuration names, however many speak. */
#pragma once

#include "core/nearest.h"
#include <jansson.h>

#define COMMUNITY_MAX    64 /* cabinets */
#define ALTERNATIVES_MAX 8  /* told besides the recommended one */

typedef struct Neighbours Neighbours;

/* community: numbers with blanks between them, NULL: none; `own` among them does no harm. */
int neighbours_new(Neighbours **ret, const char *own, const char *community);
Neighbours *neighbours_free(Neighbours *n);
DEFINE_CLEANUP(Neighbours *, neighbours_free);
/* Whose state is wanted. */
size_t neighbours_count(const Neighbours *n);
const char *neighbours_number(const Neighbours *n, size_t i);

/* The state of the i-th, as it came; NULL: too long to be one. Whatever cannot be read counts as a cabinet
 * that is not there. */
void neighbours_hear(Neighbours *n, size_t i, const void *payload, size_t n_payload);
/* The link broke: what they say from now on is not heard. */
void neighbours_lost(Neighbours *n);

/* {"cabinet", "distance", "alternatives": [{"cabinet", "distance"}, …]}, metres, the nearest first. Without a
 * residence (NaN) the distance is from here. own: this cabinet as it is now. 0, LOCKER_E_NO_FREE_POSITION,
 * -ENOMEM. */
int neighbours_recommend(const Neighbours *n, const NearbyCabinet *own, const NearestRequest *request,
                         json_t **ret);
