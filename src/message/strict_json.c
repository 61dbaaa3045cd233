/* SPDX-License-Identifier: Apache-2.0 */
#include "message/strict_json.h"
#include "core/refusal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

/* Before parsing, because the parser works recursively. */
static bool too_deep(const char *text, size_t n) {
        unsigned depth = 0;
        bool in_string = false;

        for (size_t i = 0; i < n; i++) {
                if (in_string) {
                        if (text[i] == '\\')
                                i++;
                        else if (text[i] == '"')
                                in_string = false;
                } else if (text[i] == '"') {
                        in_string = true;
                } else if (text[i] == '{' || text[i] == '[') {
                        if (++depth > STRICT_JSON_DEPTH_MAX)
                                return true;
                } else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
                        depth--;
                }
        }
        return false;
}

/* jansson's own sentences quote the text, which is not for an answer that goes over the network. */
static const char *complaint(const json_error_t *error) {
        int code = json_error_code(error);

        if (code == json_error_invalid_utf8)
                return "is not valid UTF-8";
        if (code == json_error_duplicate_key)
                return "has the same key twice in an object";
        if (code == json_error_premature_end_of_input)
                return "is cut off";
        if (code == json_error_end_of_input_expected)
                return "goes on after its end";
        if (code == json_error_numeric_overflow)
                return "has a number that is too large";
        if (code == json_error_null_byte_in_key || code == json_error_null_character)
                return "has a NUL character";
        return "is not valid JSON";
}

int strict_json_object(const char *what, const void *text, size_t n, json_t **ret,
                       char ret_detail[MESSAGE_DETAIL_MAX]) {
        json_error_t error = {0};

        if (too_deep(text, n)) {
                snprintf(ret_detail, MESSAGE_DETAIL_MAX, "%s is nested more than %d levels deep.", what,
                         STRICT_JSON_DEPTH_MAX);
                return LOCKER_E_INVALID_ARGUMENT;
        }
        json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
        if (!j && json_error_code(&error) == json_error_out_of_memory)
                return -ENOMEM;
        if (!j) {
                snprintf(ret_detail, MESSAGE_DETAIL_MAX, "%s %s (line %d, column %d).", what,
                         complaint(&error), error.line, error.column);
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (!json_is_object(j)) {
                json_erase(j);
                snprintf(ret_detail, MESSAGE_DETAIL_MAX, "%s must be a JSON object.", what);
                return LOCKER_E_INVALID_ARGUMENT;
        }
        *ret = j;
        return 0;
}

void strict_json_printable(const char *key, char *ret, size_t room) {
        size_t n = 0;

        for (; key[n] && n < room - 1; n++)
                ret[n] = key[n] > 0x20 && key[n] < 0x7f && key[n] != '"' ? key[n] : '?';
        ret[n] = '\0';
}

json_t *json_text(const char *s) {
        size_t n = strlen(s);

        /* Sentences are made in buffers of a fixed size: what snprintf cut off may be half a character. */
        for (size_t cut = 0; cut < 4 && cut <= n && (cut == 0 || (unsigned char)s[n - cut] >= 0x80); cut++) {
                json_t *j = json_stringn(s, n - cut);
                if (j)
                        return j;
        }
        _cleanup_free_ char *ascii = strdup(s);
        if (!ascii)
                return NULL;
        for (char *c = ascii; *c; c++)
                if ((unsigned char)*c >= 0x80)
                        *c = '?';
        return json_string(ascii);
}

static void erase_strings(json_t *j) {
        const char *key;
        json_t *value;
        size_t i;

        if (json_is_string(j)) {
                explicit_bzero((char *)json_string_value(j), json_string_length(j));
        } else if (json_is_array(j)) {
                json_array_foreach(j, i, value) erase_strings(value);
        } else if (json_is_object(j)) {
                json_object_foreach(j, key, value) erase_strings(value);
        }
}

void json_erase(json_t *j) {
        if (j && j->refcount == 1)
                erase_strings(j);
        json_decref(j);
}
