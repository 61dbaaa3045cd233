/* SPDX-License-Identifier: Apache-2.0 */
#include "message/neighbours.h"
#include "base/text.h"
#include "core/refusal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define KINDS_MAX 64

typedef struct Neighbour {
        char *number;
        NearbyCabinet state; /* kinds: fresh memory */
} Neighbour;

struct Neighbours {
        Neighbour *all;
        size_t n;
};

static int add(Neighbours *n, const char *own, const char *number, size_t length) {
        Neighbour b = {.number = strndup(number, length)};

        if (!b.number)
                return -ENOMEM;
        bool known = streq(b.number, own);
        for (size_t i = 0; i < n->n && !known; i++)
                known = streq(n->all[i].number, b.number);
        if (known || n->n == COMMUNITY_MAX) {
                free(b.number);
                return 0;
        }
        b.state = (NearbyCabinet){.number = b.number, .latitude = (double)NAN, .longitude = (double)NAN};
        n->all[n->n++] = b;
        return 0;
}

int neighbours_new(Neighbours **ret, const char *own, const char *community) {
        _cleanup_(neighbours_freep) Neighbours *n = calloc(1, sizeof(*n));
        const char *s = community ? community : "";
        int r = 0;

        if (!n)
                return -ENOMEM;
        n->all = calloc(COMMUNITY_MAX, sizeof(*n->all));
        if (!n->all)
                return -ENOMEM;
        while (r >= 0 && *(s += strspn(s, " \t"))) {
                size_t length = strcspn(s, " \t");
                r = add(n, own, s, length);
                s += length;
        }
        if (r < 0)
                return r;
        *ret = steal_ptr(n);
        return 0;
}

Neighbours *neighbours_free(Neighbours *n) {
        if (!n)
                return NULL;
        for (size_t i = 0; i < n->n; i++) {
                free(n->all[i].number);
                free((FreeKind *)(uintptr_t)n->all[i].state.kinds);
        }
        free(n->all);
        free(n);
        return NULL;
}

size_t neighbours_count(const Neighbours *n) {
        return n->n;
}

const char *neighbours_number(const Neighbours *n, size_t i) {
        return n->all[i].number;
}

/* --- their states --- */

static unsigned small_number(const json_t *object, const char *key) {
        json_int_t v = json_integer_value(json_object_get(object, key));

        return v < 0 ? 0 : (unsigned)MIN(v, 100000);
}

static FreeKind read_kind(const json_t *row) {
        const char *temperature = json_string_value(json_object_get(row, "temperature"));
        FreeKind kind = {.ordinal = small_number(row, "ordinal"),
                         .accessible = json_is_true(json_object_get(row, "accessible")),
                         .free = small_number(row, "free")};

        /* A kind of cold that is not known here is none that is asked for here. */
        if (temperature && temperature_from_string(temperature, &kind.temperature) < 0)
                kind.free = 0;
        return kind;
}

/* An older lockerd tells sizes only: then they are taken for ordinary ones. */
static int read_kinds(const json_t *state, FreeKind **ret, size_t *ret_n) {
        const json_t *rows = json_object_get(state, "kinds");
        size_t n;

        if (!json_is_array(rows))
                rows = json_object_get(state, "sizes");
        n = MIN(json_array_size(rows), (size_t)KINDS_MAX);
        FreeKind *kinds = calloc(n + 1, sizeof(*kinds));
        if (!kinds)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                kinds[i] = read_kind(json_array_get(rows, i));
        *ret = kinds;
        *ret_n = n;
        return 0;
}

static double degrees(const json_t *place, const char *key, double max) {
        const json_t *v = json_object_get(place, key);
        double d = json_number_value(v);

        return json_is_number(v) && d >= -max && d <= max ? d : (double)NAN;
}

static void forget(Neighbour *b) {
        free((FreeKind *)(uintptr_t)b->state.kinds);
        b->state = (NearbyCabinet){.number = b->number, .latitude = (double)NAN, .longitude = (double)NAN};
}

void neighbours_hear(Neighbours *n, size_t i, const void *payload, size_t n_payload) {
        Neighbour *b = &n->all[i];
        json_t *state = payload ? json_loadb(payload, n_payload, 0, NULL) : NULL;
        const char *cabinet = json_string_value(json_object_get(state, "cabinet")),
                   *presence = json_string_value(json_object_get(state, "presence"));
        const json_t *place = json_object_get(state, "place");
        FreeKind *kinds = NULL;
        size_t n_kinds = 0;

        forget(b);
        if (cabinet && presence && streq(cabinet, b->number) && streq(presence, "online") &&
            read_kinds(state, &kinds, &n_kinds) >= 0)
                b->state = (NearbyCabinet){.number = b->number,
                                           .latitude = degrees(place, "latitude", 90),
                                           .longitude = degrees(place, "longitude", 180),
                                           .fresh = true,
                                           .kinds = kinds,
                                           .n_kinds = n_kinds};
        json_decref(state);
}

void neighbours_lost(Neighbours *n) {
        for (size_t i = 0; i < n->n; i++)
                forget(&n->all[i]);
}

/* --- the recommendation --- */

static json_t *told(const NearbyCabinet *c, double metres) {
        return json_pack("{s:s, s:I}", "cabinet", c->number, "distance", (json_int_t)(metres + 0.5));
}

static int answer(const NearbyCabinet *cabinets, const NearestChoice *choices, size_t n, json_t **ret) {
        json_t *result = told(&cabinets[choices[0].cabinet], choices[0].metres), *others = json_array();
        int r = json_object_set_new(result, "alternatives", others);

        for (size_t i = 1; i < n && i <= ALTERNATIVES_MAX && r >= 0; i++)
                r = json_array_append_new(others, told(&cabinets[choices[i].cabinet], choices[i].metres));
        if (r < 0) {
                json_decref(result);
                return -ENOMEM;
        }
        *ret = result;
        return 0;
}

int neighbours_recommend(const Neighbours *n, const NearbyCabinet *own, const NearestRequest *request,
                         json_t **ret) {
        NearbyCabinet cabinets[COMMUNITY_MAX + 1] = {*own};
        NearestChoice choices[COMMUNITY_MAX + 1];
        NearestRequest wanted = *request;

        if (isnan(wanted.latitude) || isnan(wanted.longitude)) {
                wanted.latitude = own->latitude;
                wanted.longitude = own->longitude;
        }
        for (size_t i = 0; i < n->n; i++)
                cabinets[i + 1] = n->all[i].state;
        size_t found = nearest_choose(cabinets, n->n + 1, &wanted, choices);
        /* Nobody knows where anything is: it is here. */
        if (!found && isnan(wanted.latitude) && nearest_fits(own, &wanted))
                choices[found++] = (NearestChoice){.cabinet = 0};
        return found ? answer(cabinets, choices, found, ret) : LOCKER_E_NO_FREE_POSITION;
}
