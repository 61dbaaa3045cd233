/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/model.h"

#define DEFINE_FIND(type, what, array)                     \
        type *sim_##what(const Sim *s, const char *name) { \
                for (size_t i = 0; i < s->n_##array; i++)  \
                        if (streq(s->array[i].name, name)) \
                                return &s->array[i];       \
                return NULL;                               \
        }                                                  \
        struct sim_##what##_swallow_semicolon

DEFINE_FIND(Line, line, lines);
DEFINE_FIND(Board, board, boards);
DEFINE_FIND(Place, place, places);
DEFINE_FIND(Alarm, alarm, alarms);

void sim_seed(Sim *s, uint64_t seed) {
        s->seed = seed;
        s->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
}

/* splitmix64 */
static uint64_t next_random(Sim *s) {
        uint64_t z = s->random += UINT64_C(0x9E3779B97F4A7C15);

        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        return z ^ z >> 31;
}

uint64_t sim_random(Sim *s, uint64_t low, uint64_t high) {
        return low + next_random(s) % (high - low + 1);
}

bool sim_chance(Sim *s, unsigned per_cent) {
        return per_cent && sim_random(s, 1, 100) <= per_cent;
}
