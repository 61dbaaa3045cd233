/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <time.h>

/* Each value of a basic type has a member: sd-bus writes as many bytes as the type has. */
typedef union Basic {
        uint8_t u8;
        int16_t i16;
        uint16_t u16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        double d;
        int b;
        const char *s;
} Basic;

static json_t *basic_to_json(char type, const Basic *v) {
        switch (type) {
        case 'y':
                return json_integer(v->u8);
        case 'b':
                return json_boolean(v->b);
        case 'n':
                return json_integer(v->i16);
        case 'q':
                return json_integer(v->u16);
        case 'i':
                return json_integer(v->i32);
        case 'u':
                return json_integer(v->u32);
        case 'x':
                return json_integer(v->i64);
        case 't':
                return json_integer((json_int_t)MIN(v->u64, (uint64_t)INT64_MAX));
        case 'd':
                return isfinite(v->d) ? json_real(v->d) : json_null();
        default: /* s, o, g */
                return json_string(v->s);
        }
}

static int dictionary_from_bus(sd_bus_message *m, const char *contents, json_t **ret) {
        _cleanup_json_ json_t *object = json_object();
        int r;

        char entry[256];
        if (!object)
                return -ENOMEM;
        size_t n = strlen(contents);
        if (n < 4 || n >= sizeof(entry) || !strchr("sog", contents[1]))
                return -ENOTSUP; /* all dictionaries of this API have text keys */
        memcpy(entry, contents + 1, n - 2);
        entry[n - 2] = 0;
        while ((r = sd_bus_message_enter_container(m, 'e', entry)) > 0) {
                const char *key = NULL;
                json_t *value = NULL;

                r = sd_bus_message_read_basic(m, entry[0], &key);
                if (r >= 0)
                        r = json_from_bus(m, &value);
                if (r < 0)
                        return r;
                if (json_object_set_new(object, key, value) < 0)
                        return -ENOMEM;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *ret = steal_ptr(object);
        return 0;
}

static int list_from_bus(sd_bus_message *m, json_t **ret) {
        _cleanup_json_ json_t *list = json_array();
        int r;

        if (!list)
                return -ENOMEM;
        while ((r = sd_bus_message_at_end(m, false)) == 0) {
                json_t *value = NULL;
                r = json_from_bus(m, &value);
                if (r < 0)
                        return r;
                if (json_array_append_new(list, value) < 0)
                        return -ENOMEM;
        }
        if (r < 0)
                return r;
        *ret = steal_ptr(list);
        return 0;
}

int json_from_bus(sd_bus_message *m, json_t **ret) {
        _cleanup_json_ json_t *value = NULL;
        const char *contents = NULL;
        Basic basic = {0};
        char type = 0;

        int r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (!contents) {
                r = sd_bus_message_read_basic(m, type, &basic);
                if (r < 0)
                        return r;
                *ret = basic_to_json(type, &basic);
                return *ret ? 0 : -ENOMEM;
        }
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        if (type == 'v')
                r = json_from_bus(m, &value);
        else if (type == 'a' && contents[0] == '{')
                r = dictionary_from_bus(m, contents, &value);
        else
                r = list_from_bus(m, &value);
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = steal_ptr(value);
        return 0;
}

const char *json_text(const json_t *object, const char *key) {
        const char *s = json_string_value(json_object_get(object, key));
        return s ? s : "";
}

uint64_t json_number(const json_t *object, const char *key) {
        return (uint64_t)json_integer_value(json_object_get(object, key));
}

bool json_flag(const json_t *object, const char *key) {
        return json_is_true(json_object_get(object, key));
}

int json_set_time(json_t *object, const char *key, int64_t usec) {
        time_t t = (time_t)(usec / (int64_t)USEC_PER_SEC);
        char usec_key[64], text[TIME_TEXT_MAX] = "";
        struct tm tm;

        snprintf(usec_key, sizeof(usec_key), "%s_usec", key);
        if (usec > 0 && gmtime_r(&t, &tm))
                strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        int r = json_object_set_new(object, key, text[0] ? json_string(text) : json_null());
        return r < 0 ? r : json_object_set_new(object, usec_key, text[0] ? json_integer(usec) : json_null());
}
