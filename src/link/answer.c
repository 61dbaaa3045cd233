/* SPDX-License-Identifier: Apache-2.0 */
#include "link/answer.h"
#include "base/text.h"
#include "core/credential.h"
#include "core/refusal.h"
#include "lockerd/link.h"
#include "message/rfc3339.h"
#include "message/strict_json.h"

/* In one piece of its final size: a buffer that grows would leave copies of a key behind. Steals j. */
static char *dump(json_t *j) {
        size_t n = j ? json_dumpb(j, NULL, 0, JSON_COMPACT) : 0;
        char *text = n ? malloc(n + 1) : NULL;

        if (text && json_dumpb(j, text, n, JSON_COMPACT) != n) {
                free(text);
                text = NULL;
        }
        if (text)
                text[n] = 0;
        json_erase(j);
        return text;
}

/* Steals value; a NULL value is a failed allocation. */
static bool put(json_t *j, const char *key, json_t *value) {
        return json_object_set_new(j, key, value) >= 0;
}

static bool put_text(json_t *j, const char *key, const char *text) {
        return !text || !*text || put(j, key, json_text(text));
}

static bool put_place(json_t *j, const LinkWirePlace *p) {
        return (!p->parcel || put(j, "parcel", json_integer((json_int_t)p->parcel))) &&
               (!p->slot[0] ||
                (put(j, "slot", json_text(p->slot)) && put(j, "position", json_integer(p->position))));
}

static bool put_key(json_t *j, const LinkWireAnswer *a) {
        char hex[2 * LINK_KEY_SIZE + 1];

        text_to_hex(a->key, sizeof(a->key), hex);
        bool done = put(j, "deposited", json_integer(a->deposited)) && put(j, "key", json_string(hex));
        explicit_bzero(hex, sizeof(hex));
        return done;
}

static bool put_bound(json_t *j, uint32_t bound) {
        json_t *kinds = json_array();

        for (int k = 0; k < CREDENTIAL_KINDS_MAX && kinds; k++)
                if (bound & credential_bit((CredentialKind)k))
                        (void)json_array_append_new(
                                kinds, json_string(credential_kind_to_string((CredentialKind)k)));
        return put(j, "credentials", kinds);
}

static bool put_places(json_t *j, const LinkWireAnswer *a) {
        json_t *list = json_array();

        for (uint32_t i = 0; i < a->n_places && list; i++) {
                json_t *place = json_object();
                if (!place || !put_place(place, &a->places[i]) || json_array_append(list, place) < 0) {
                        json_decref(list);
                        list = NULL;
                }
                json_decref(place);
        }
        return put(j, "parcels", list);
}

static bool fill(json_t *j, const LinkWireAnswer *a) {
        return put_place(j, &a->place) && put_text(j, "prompt", a->prompt) &&
               (!a->expires || put(j, "expires", json_integer(a->expires))) &&
               (!a->has_key || put_key(j, a)) && (!a->bound || put_bound(j, a->bound)) &&
               (!a->has_places || put_places(j, a));
}

/* Steals result; NULL: no memory. */
static char *done(int64_t id, json_t *result) {
        return result ? dump(json_pack("{s:I, s:s, s:o}", "id", (json_int_t)id, "status", "done", "result",
                                       result))
                      : NULL;
}

char *link_answer_text(int64_t id, const LinkWireAnswer *a) {
        if (a->refusal)
                return link_refusal_text(id, a->refusal, a->sentence);
        json_t *result = json_object();
        if (result && !fill(result, a)) {
                json_erase(result);
                return NULL;
        }
        return done(id, result);
}

char *link_refusal_text(int64_t id, unsigned refusal, const char *sentence) {
        if (!sentence || !*sentence)
                sentence = refusal_sentence((Refusal)refusal);
        return dump(json_pack("{s:I, s:s, s:s, s:o}", "id", (json_int_t)id, "status", "refused", "error",
                              refusal_name((Refusal)refusal), "message", json_text(sentence)));
}

char *link_prompt_text(const LinkWirePrompt *p) {
        json_t *j = json_object();

        if (!j || !put(j, "prompt", json_text(p->what)) || !put(j, "sentence", json_text(p->sentence)) ||
            !put_place(j, &p->place)) {
                json_decref(j);
                return NULL;
        }
        return dump(j);
}

static bool put_cabinet(json_t *j, const LinkSetup *s) {
        json_t *place = json_object(), *sizes = json_array();

        for (size_t i = 0; i < s->n_sizes && sizes; i++)
                (void)json_array_append_new(sizes, json_text(s->sizes[i]));
        bool located = place && put_text(place, "name", s->name) && put_text(place, "address", s->address) &&
                       (!s->has_location || (put(place, "latitude", json_real(s->latitude)) &&
                                             put(place, "longitude", json_real(s->longitude))));
        return put(j, "cabinet", json_text(s->cabinet)) && (put(j, "place", place) && located) &&
               put(j, "sizes", sizes) && put(j, "code_alphabet", json_text(s->alphabet)) &&
               put(j, "software", json_text(s->version));
}

char *link_hello_text(int64_t id, const LinkSetup *s, const char *courier, const LinkWireClock *clock) {
        json_t *j = json_object();
        char now[RFC3339_MAX];

        rfc3339_format(clock->wall_usec, now);
        if (!j || !put(j, "version", json_integer(LOCKERD_LINK_VERSION)) || !put_cabinet(j, s) ||
            !put(j, "time", json_string(now)) ||
            !put(j, "clock", json_string(clock->vouched ? "known" : "unknown")) ||
            !put(j, "who", json_string(*courier ? "courier" : "recipient")) ||
            !put_text(j, "courier", courier)) {
                json_decref(j);
                return NULL;
        }
        return done(id, j);
}
