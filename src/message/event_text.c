/* SPDX-License-Identifier: Apache-2.0 */
#include "message/event_text.h"
#include "message/rfc3339.h"

#include <errno.h>

#define KEYS_MAX        24
#define DIGITS_MAX      18 /* of a whole number that needs no second look */
#define SEQUENCE_DIGITS 20
/* What is neither the cabinet's number nor the event's own: keys, brackets, numbers, time. */
#define FRAME 400

typedef struct Piece {
        const char *at;
        size_t n;
} Piece;

/* --- is it plain? --- */

/* The length of text that JSON spells as it is. */
static size_t plain_length(const char *s) {
        size_t n = 0;

        while (s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
                n++;
        return n;
}

static bool plain(const char *s) {
        return s[plain_length(s)] == 0;
}

static bool skip_word(const char **s, const char *word) {
        size_t n = strlen(word);

        if (strncmp(*s, word, n) != 0)
                return false;
        *s += n;
        return true;
}

static bool skip_string(const char **s, Piece *ret) {
        if (**s != '"')
                return false;
        size_t n = plain_length(*s + 1);
        if ((*s)[1 + n] != '"')
                return false;
        *ret = (Piece){*s + 1, n};
        *s += n + 2;
        return true;
}

static bool skip_number(const char **s) {
        const char *first = *s + (**s == '-');
        size_t n = strspn(first, "0123456789");

        if (n == 0 || n > DIGITS_MAX || (n > 1 && *first == '0') || strchr(".eE", first[n]))
                return false;
        *s = first + n;
        return true;
}

static bool skip_value(const char **s) {
        Piece ignored;

        return skip_string(s, &ignored) || skip_word(s, "true") || skip_word(s, "false") ||
               skip_word(s, "null") || skip_number(s);
}

static bool is_new(const Piece keys[], size_t n, Piece key) {
        for (size_t i = 0; i < n; i++)
                if (keys[i].n == key.n && memcmp(keys[i].at, key.at, key.n) == 0)
                        return false;
        return true;
}

/* An object of plain members without blanks, as the ledger has it. ret: what is between the braces. */
static bool plain_object(const char *text, Piece *ret) {
        Piece keys[KEYS_MAX];
        const char *s = text;
        size_t n = 0;

        if (*s++ != '{')
                return false;
        if (*s != '}')
                do {
                        if (n == KEYS_MAX || !skip_string(&s, &keys[n]) || !is_new(keys, n, keys[n]) ||
                            *s++ != ':' || !skip_value(&s))
                                return false;
                        n++;
                } while (*s == ',' && s++);
        if (*s != '}' || s[1])
                return false;
        *ret = (Piece){text + 1, (size_t)(s - text) - 1};
        return true;
}

/* --- putting together --- */

static char *put(char *to, Piece p) {
        memcpy(to, p.at, p.n);
        return to + p.n;
}

static char *put_text(char *to, const char *text) {
        return put(to, (Piece){text, strlen(text)});
}

static char *put_number(char *to, uint64_t number, unsigned width) {
        char digits[SEQUENCE_DIGITS];
        unsigned n = 0;

        do
                digits[n++] = (char)('0' + number % 10);
        while (number /= 10);
        for (unsigned i = n; i < width; i++)
                *to++ = '0';
        while (n)
                *to++ = digits[--n];
        return to;
}

static bool has_epoch(const EventMessage *e) {
        return e->epoch && *e->epoch;
}

static char *put_head(char *to, const char *cabinet, const EventMessage *e) {
        to = put_text(to, "{\"specversion\":\"1.0\",\"id\":\"");
        to = put_text(to, cabinet);
        to = put_text(to, "/");
        if (has_epoch(e)) {
                to = put_text(to, e->epoch);
                to = put_text(to, "/");
        }
        to = put_number(to, e->sequence, 1);
        to = put_text(to, "\",\"source\":\"/lockerd/");
        to = put_text(to, cabinet);
        to = put_text(to, "\",\"type\":\"org.lockerd.");
        to = put_text(to, e->type);
        to = put_text(to, "\",\"subject\":\"");
        return put_text(to, e->subject);
}

int event_text(const char *cabinet, const EventMessage *e, char **ret) {
        Piece data, hidden = {0};
        char time[RFC3339_MAX];

        if (!plain(cabinet) || (has_epoch(e) && !plain(e->epoch)) || !plain(e->type) || !plain(e->subject) ||
            !plain_object(e->data, &data) || (e->secret && !plain_object(e->secret, &hidden)))
                return 0;
        rfc3339_format(e->wall_usec, time);
        char *text = malloc(FRAME + (has_epoch(e) ? 2 * strlen(e->epoch) : 0) + 2 * strlen(cabinet) +
                            strlen(e->type) + strlen(e->subject) + data.n + hidden.n);
        if (!text)
                return -ENOMEM;
        char *to = put_head(text, cabinet, e);
        to = put_text(to, "\",\"time\":\"");
        to = put_text(to, time);
        to = put_text(to, "\",\"datacontenttype\":\"application/json\",\"sequence\":\"");
        to = put_number(to, e->sequence, SEQUENCE_DIGITS);
        if (has_epoch(e)) {
                to = put_text(to, "\",\"epoch\":\"");
                to = put_text(to, e->epoch);
        }
        to = put_text(to, e->synced ? "\",\"clocksynced\":true" : "\",\"clocksynced\":false");
        to = put_text(to, e->offline ? ",\"offline\":true,\"data\":{" : ",\"offline\":false,\"data\":{");
        to = put(to, data);
        if (e->secret) {
                to = put_text(to, data.n ? ",\"secret\":{" : "\"secret\":{");
                to = put(to, hidden);
                to = put_text(to, "}");
        }
        to = put_text(to, "}}");
        *to = 0;
        *ret = text;
        return 1;
}
