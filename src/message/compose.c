/* SPDX-License-Identifier: Apache-2.0 */
#include "message/compose.h"
#include "message/event_text.h"
#include "message/rfc3339.h"
#include "message/strict_json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* In one piece of its final size: a buffer that grows would leave copies of a code behind. */
static int dump(const json_t *j, char **ret) {
        size_t n = json_dumpb(j, NULL, 0, JSON_COMPACT);
        char *text = n ? malloc(n + 1) : NULL;

        if (!text)
                return -ENOMEM;
        if (json_dumpb(j, text, n, JSON_COMPACT) != n) {
                free(text);
                return -ENOMEM;
        }
        text[n] = '\0';
        *ret = text;
        return 0;
}

/* Steals value; a NULL value is a failed allocation. */
static int put(json_t *object, const char *key, json_t *value) {
        return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int put_text(json_t *object, const char *key, const char *value) {
        return put(object, key, json_text(value ? value : ""));
}

static int put_time(json_t *object, const char *key, int64_t wall_usec) {
        char text[RFC3339_MAX];

        rfc3339_format(wall_usec, text);
        return put(object, key, json_string(text));
}

/* --- events --- */

static int own_object(const char *text, json_t **ret) {
        json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

        if (!json_is_object(j)) {
                json_erase(j);
                return -EUCLEAN;
        }
        *ret = j;
        return 0;
}

static int event_data(const EventMessage *e, json_t **ret) {
        _cleanup_json_ json_t *data = NULL;
        json_t *hidden;

        int r = own_object(e->data, &data);
        if (r >= 0 && e->secret) {
                r = own_object(e->secret, &hidden);
                if (r >= 0)
                        r = put(data, "secret", hidden);
        }
        if (r < 0)
                return r;
        *ret = steal_ptr(data);
        return 0;
}

/* Of whatever words and numbers. */
static int any_event(const char *cabinet, const EventMessage *e, char **ret) {
        _cleanup_json_ json_t *event = json_object(), *data = NULL;
        char id[184], source[160], type[160], sequence[24];

        if (!event)
                return -ENOMEM;
        int r = event_data(e, &data);
        if (r < 0)
                return r;
        const char *epoch = e->epoch ? e->epoch : "";
        snprintf(id, sizeof(id), "%s/%s%s%" PRIu64, cabinet, epoch, *epoch ? "/" : "", e->sequence);
        snprintf(source, sizeof(source), "/lockerd/%s", cabinet);
        snprintf(type, sizeof(type), "org.lockerd.%s", e->type);
        /* The sequence extension wants a string that sorts as text; an Integer of CloudEvents has 32 bits
         * only. */
        snprintf(sequence, sizeof(sequence), "%020" PRIu64, e->sequence);

        r = put(event, "specversion", json_string("1.0"));
        if (!r)
                r = put_text(event, "id", id);
        if (!r)
                r = put_text(event, "source", source);
        if (!r)
                r = put_text(event, "type", type);
        if (!r)
                r = put_text(event, "subject", e->subject);
        if (!r)
                r = put_time(event, "time", e->wall_usec);
        if (!r)
                r = put(event, "datacontenttype", json_string("application/json"));
        if (!r)
                r = put(event, "sequence", json_string(sequence));
        if (!r && *epoch)
                r = put(event, "epoch", json_string(epoch));
        if (!r)
                r = put(event, "clocksynced", json_boolean(e->synced));
        if (!r)
                r = put(event, "offline", json_boolean(e->offline));
        if (!r)
                r = put(event, "data", steal_ptr(data));
        return r < 0 ? r : dump(event, ret);
}

int compose_event(const char *cabinet, const EventMessage *e, char **ret) {
        int r = event_text(cabinet, e, ret);

        return r ? MIN(r, 0) : any_event(cabinet, e, ret);
}

/* --- answers --- */

static const char *status(Refusal r) {
        if (r == REFUSAL_NONE)
                return "done";
        if (r == LOCKER_E_DID_NOT_OPEN || r == LOCKER_E_POSITION_DID_NOT_OPEN ||
            r == LOCKER_E_BOARD_OFFLINE || r == LOCKER_E_OUTCOME_UNKNOWN || r == LOCKER_E_INTERNAL)
                return "failed";
        return "refused";
}

int compose_answer(const char *epoch, const char *id, const char *name, Refusal refusal, const char *detail,
                   json_t *result, char **ret) {
        _cleanup_json_ json_t *answer = json_object(), *stolen = result;

        int r = answer ? put_text(answer, "id", id) : -ENOMEM;
        if (!r)
                r = put_text(answer, "name", name);
        if (!r)
                r = put_text(answer, "epoch", epoch);
        if (!r)
                r = put(answer, "status", json_string(status(refusal)));
        if (!r && refusal)
                r = put(answer, "error", json_string(refusal_name(refusal)));
        if (!r && refusal)
                r = put_text(answer, "message", detail && *detail ? detail : refusal_sentence(refusal));
        if (!r && stolen)
                r = put(answer, "result", steal_ptr(stolen));
        return r < 0 ? r : dump(answer, ret);
}

/* --- state --- */

static int put_place(json_t *state, const StateMessage *s) {
        json_t *place = json_object();
        int r = put(state, "place", place);

        if (!r && s->address && *s->address)
                r = put_text(place, "address", s->address);
        if (!r && s->timezone && *s->timezone)
                r = put_text(place, "timezone", s->timezone);
        if (!r && isfinite(s->latitude) && isfinite(s->longitude)) {
                r = put(place, "latitude", json_real(s->latitude));
                if (!r)
                        r = put(place, "longitude", json_real(s->longitude));
        }
        return r;
}

static int put_sizes(json_t *state, const StateMessage *s) {
        json_t *sizes = json_array();
        int r = put(state, "sizes", sizes);

        for (size_t i = 0; !r && i < s->n_sizes; i++) {
                const StateSize *z = &s->sizes[i];
                json_t *size = json_object();

                if (json_array_append_new(sizes, size) < 0)
                        return -ENOMEM;
                r = put_text(size, "name", z->name);
                if (!r && z->label && *z->label)
                        r = put_text(size, "label", z->label);
                if (!r)
                        r = put(size, "ordinal", json_integer(z->ordinal));
                if (!r)
                        r = put(size, "capacity", json_integer(z->capacity));
                if (!r)
                        r = put(size, "free", json_integer(z->free));
        }
        return r;
}

static int put_kinds(json_t *state, const StateMessage *s) {
        json_t *kinds = json_array();
        int r = put(state, "kinds", kinds);

        for (size_t i = 0; !r && i < s->n_kinds; i++) {
                const FreeKind *k = &s->kinds[i];
                json_t *kind = json_pack("{s:i, s:s, s:b, s:i}", "ordinal", (int)k->ordinal, "temperature",
                                         temperature_to_string(k->temperature), "accessible",
                                         (int)k->accessible, "free", (int)k->free);

                if (json_array_append_new(kinds, kind) < 0)
                        return -ENOMEM;
        }
        return r;
}

static int put_health(json_t *state, const StateMessage *s) {
        json_t *health = json_array();
        int r = put(state, "health", health);

        for (size_t i = 0; !r && i < s->n_health; i++) {
                const StateHealth *h = &s->health[i];
                json_t *component = json_object();

                if (json_array_append_new(health, component) < 0)
                        return -ENOMEM;
                r = put_text(component, "component", h->component);
                if (!r)
                        r = put_text(component, "state", h->state);
                if (!r && h->sentence && *h->sentence)
                        r = put_text(component, "sentence", h->sentence);
        }
        return r;
}

static int put_versions(json_t *state, const StateMessage *s) {
        json_t *versions = json_object();
        int r = put(state, "versions", versions);

        if (!r)
                r = put_text(versions, "lockerd", s->version);
        return r ? r : put(versions, "ledger", json_integer(s->ledger_schema));
}

static int put_presence(json_t *state, const char *cabinet, bool online) {
        int r = put_text(state, "cabinet", cabinet);

        return r ? r : put(state, "presence", json_string(online ? "online" : "offline"));
}

int compose_state(const StateMessage *s, char **ret) {
        _cleanup_json_ json_t *state = json_object();

        int r = state ? put_presence(state, s->cabinet, s->online) : -ENOMEM;
        if (!r)
                r = put_time(state, "time", s->now_usec);
        if (!r)
                r = put_time(state, "started", s->started_usec);
        if (!r)
                r = put(state, "clocksynced", json_boolean(s->clock_synced));
        if (!r)
                r = put(state, "clockvouched", json_boolean(s->clock_vouched));
        if (!r && s->nonce)
                r = put_text(state, "nonce", s->nonce);
        if (!r)
                r = put_text(state, "name", s->name);
        if (!r)
                r = put_place(state, s);
        if (!r)
                r = put_sizes(state, s);
        if (!r && s->n_kinds)
                r = put_kinds(state, s);
        if (!r)
                r = put_health(state, s);
        if (!r)
                r = put_versions(state, s);
        if (!r)
                r = put_text(state, "epoch", s->epoch);
        if (!r)
                r = put_text(state, "audithead", s->audit_head);
        if (!r)
                r = put(state, "lastevent", json_integer((json_int_t)s->last_event));
        if (!r)
                r = put(state, "outbox", json_integer((json_int_t)s->outbox));
        return r < 0 ? r : dump(state, ret);
}

int compose_will(const char *cabinet, char **ret) {
        _cleanup_json_ json_t *state = json_object();

        int r = state ? put_presence(state, cabinet, false) : -ENOMEM;
        return r < 0 ? r : dump(state, ret);
}
