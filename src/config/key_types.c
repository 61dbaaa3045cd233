/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/text.h"
#include "config/config.h"
#include "config/keys.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#define ZONEINFO "/usr/share/zoneinfo"

const KeyChoice baud_rates[] = {
        {"1200", 1200},   {"2400", 2400},   {"4800", 4800},     {"9600", 9600},     {"19200", 19200},
        {"38400", 38400}, {"57600", 57600}, {"115200", 115200}, {"230400", 230400}, {}};

static int parse_range(const ConfigKey *key, const char *value, uint64_t *ret) {
        uint64_t v;

        int r = text_to_u64(value, key->max, &v);
        if (r < 0)
                return r;
        if (v < key->min)
                return -ERANGE;
        *ret = v;
        return 0;
}

static int parse_count(const ConfigKey *key, const IniEntry *entry, void *field) {
        return parse_range(key, entry->value, field);
}

static void describe_number(const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "a whole number from %" PRIu64 " to %" PRIu64, key->min, key->max);
}

static int parse_unsigned(const ConfigKey *key, const IniEntry *entry, void *field) {
        uint64_t v;

        int r = parse_range(key, entry->value, &v);
        if (r < 0)
                return r;
        *(unsigned *)field = (unsigned)v;
        return 0;
}

static int parse_number(const ConfigKey *key, const IniEntry *entry, void *field) {
        uint64_t v;

        int r = parse_range(key, entry->value, &v);
        if (r < 0)
                return r;
        *(int *)field = (int)v;
        return 0;
}

static int parse_u16(const ConfigKey *key, const IniEntry *entry, void *field) {
        uint64_t v;

        int r = parse_range(key, entry->value, &v);
        if (r < 0)
                return r;
        *(uint16_t *)field = (uint16_t)v;
        return 0;
}

static void describe_u16(const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "a number from 0x%04" PRIX64 " to 0x%04" PRIX64, key->min, key->max);
}

static int parse_time(const char *value, uint64_t min, uint64_t max, uint64_t *ret) {
        uint64_t v;

        /* A number without a unit is ambiguous, so it must be 0. */
        if (text_is_digits(value) && strspn(value, "0") != strlen(value))
                return -EINVAL;
        int r = text_to_usec(value, 1, &v);
        if (r < 0)
                return r;
        if (v < min || v > max)
                return -ERANGE;
        *ret = v;
        return 0;
}

static int parse_msec(const ConfigKey *key, const IniEntry *entry, void *field) {
        uint64_t v;

        int r = parse_time(entry->value, key->min * USEC_PER_MSEC, key->max * USEC_PER_MSEC, &v);
        if (r < 0)
                return r;
        if (v % USEC_PER_MSEC != 0)
                return -EINVAL;
        *(unsigned *)field = (unsigned)(v / USEC_PER_MSEC);
        return 0;
}

static int parse_usec(const ConfigKey *key, const IniEntry *entry, void *field) {
        return parse_time(entry->value, key->min, key->max, field);
}

static void format_time(uint64_t usec, char *buffer, size_t size) {
        static const struct {
                const char *suffix;
                uint64_t usec;
        } units[] = {
                {"d", 86400 * USEC_PER_SEC}, {"h", 3600 * USEC_PER_SEC}, {"min", 60 * USEC_PER_SEC},
                {"s", USEC_PER_SEC},         {"ms", USEC_PER_MSEC},
        };

        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
                if (usec >= units[i].usec && usec % units[i].usec == 0) {
                        snprintf(buffer, size, "%" PRIu64 "%s", usec / units[i].usec, units[i].suffix);
                        return;
                }
        snprintf(buffer, size, "%" PRIu64 "%s", usec, usec ? "us" : "");
}

static void describe_time(uint64_t min, uint64_t max, const char *step, char *buffer, size_t size) {
        char low[32], high[32];

        format_time(min, low, sizeof(low));
        format_time(max, high, sizeof(high));
        snprintf(buffer, size, "a time from %s to %s with its unit (%s)", low, high, step);
}

static void describe_msec(const ConfigKey *key, char *buffer, size_t size) {
        describe_time(key->min * USEC_PER_MSEC, key->max * USEC_PER_MSEC, "ms, s, min", buffer, size);
}

static void describe_usec(const ConfigKey *key, char *buffer, size_t size) {
        describe_time(key->min, key->max, "ms, s, min, h, d", buffer, size);
}

static const char byte_units[] = "KMGT";

static int parse_bytes(const ConfigKey *key, const IniEntry *entry, void *field) {
        char digits[24];
        size_t n = strlen(entry->value);
        unsigned shift = 0;
        uint64_t v;

        if (n >= sizeof(digits))
                return -EINVAL;
        memcpy(digits, entry->value, n + 1);
        const char *unit = n > 0 ? strchr(byte_units, toupper((unsigned char)digits[n - 1])) : NULL;
        if (unit) {
                shift = 10 * (unsigned)(unit - byte_units + 1);
                digits[n - 1] = 0;
        }
        int r = text_to_u64(digits, UINT64_MAX >> shift, &v);
        if (r < 0)
                return r;
        v <<= shift;
        if (v < key->min || v > key->max)
                return -ERANGE;
        *(uint64_t *)field = v;
        return 0;
}

static void format_bytes(uint64_t v, char *buffer, size_t size) {
        static const char *const units[] = {"", "K", "M", "G", "T"};
        size_t unit = 0;

        while (v >= 1024 && v % 1024 == 0 && unit + 1 < ARRAY_SIZE(units)) {
                v /= 1024;
                unit++;
        }
        snprintf(buffer, size, "%" PRIu64 "%s", v, units[unit]);
}

static void describe_bytes(const ConfigKey *key, char *buffer, size_t size) {
        char low[32], high[32];

        format_bytes(key->min, low, sizeof(low));
        format_bytes(key->max, high, sizeof(high));
        snprintf(buffer, size, "a number of bytes from %s to %s (K, M, G, T)", low, high);
}

static int parse_bool(_unused_ const ConfigKey *key, const IniEntry *entry, void *field) {
        return text_to_bool(entry->value, field);
}

static void describe_bool(_unused_ const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "yes or no");
}

static int parse_choice(const ConfigKey *key, const IniEntry *entry, void *field) {
        for (const KeyChoice *choice = key->choices; choice->name; choice++) {
                if (!streq(choice->name, entry->value))
                        continue;
                if (key->size == sizeof(char))
                        *(char *)field = (char)choice->value;
                else
                        memcpy(field, &choice->value, sizeof(choice->value));
                return 0;
        }
        return -EINVAL;
}

static void describe_choice(const ConfigKey *key, char *buffer, size_t size) {
        size_t at = 0;

        buffer[0] = 0;
        for (const KeyChoice *choice = key->choices; choice->name && at < size; choice++) {
                const char *between = choice == key->choices ? "" : choice[1].name ? ", " : " or ";
                int n = snprintf(buffer + at, size - at, "%s%s", between, choice->name);
                at += n > 0 ? (size_t)n : 0;
        }
}

static int replace_string(void *field, const char *value) {
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*(char **)field);
        *(char **)field = copy;
        return 0;
}

static int parse_text(const ConfigKey *key, const IniEntry *entry, void *field) {
        size_t n = strlen(entry->value);

        if (n < key->min || n > key->max)
                return -ERANGE;
        return replace_string(field, entry->value);
}

static void describe_text(const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "text of at most %" PRIu64 " bytes", key->max);
}

bool name_is_valid(const char *name, size_t max) {
        size_t n = strlen(name);

        if (n == 0 || n > max || !isalnum((unsigned char)name[0]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
                        return false;
        return true;
}

static int parse_name(const ConfigKey *key, const IniEntry *entry, void *field) {
        return name_is_valid(entry->value, key->max) ? replace_string(field, entry->value) : -EINVAL;
}

static void describe_name(const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "a name of letters, digits, \"-\", \"_\" and \".\" (at most %" PRIu64 ")",
                 key->max);
}

static int parse_names(const ConfigKey *key, const IniEntry *entry, void *field) {
        const char *s = entry->value;

        while (*(s += strspn(s, " \t"))) {
                size_t n = strcspn(s, " \t");
                _cleanup_free_ char *name = strndup(s, n);
                if (!name)
                        return -ENOMEM;
                if (!name_is_valid(name, key->max))
                        return -EINVAL;
                s += n;
        }
        return replace_string(field, entry->value);
}

static void describe_names(const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size,
                 "names of letters, digits, \"-\", \"_\" and \".\" (each at most %" PRIu64
                 ") with blanks between them",
                 key->max);
}

static int parse_path(_unused_ const ConfigKey *key, const IniEntry *entry, void *field) {
        size_t n = strlen(entry->value);

        /* A daemon has no working directory for relative paths. */
        if (entry->value[0] != '/' || n < 2 || n >= PATH_MAX)
                return -EINVAL;
        return replace_string(field, entry->value);
}

static void describe_path(_unused_ const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "an absolute path");
}

/* Not strtod(), whose decimal separator depends on the locale. */
static int parse_degrees(const ConfigKey *key, const IniEntry *entry, void *field) {
        const char *s = entry->value;
        double v = 0, scale = 1;
        unsigned digits = 0;
        bool negative = *s == '-', point = false;

        if (*s == '-' || *s == '+')
                s++;
        for (; *s; s++) {
                if (*s == '.' && !point && digits > 0) {
                        point = true;
                        continue;
                }
                if (!isdigit((unsigned char)*s) || ++digits > 15)
                        return -EINVAL;
                v = v * 10 + (*s - '0');
                if (point)
                        scale *= 10;
        }
        if (digits == 0 || s[-1] == '.')
                return -EINVAL;
        v /= scale;
        if (v > (double)key->max)
                return -ERANGE;
        *(double *)field = negative ? -v : v;
        return 0;
}

static void describe_degrees(const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size,
                 "decimal degrees from -%" PRIu64 " to %" PRIu64 " with a point, such as 52.5200", key->max,
                 key->max);
}

static int parse_clock(_unused_ const ConfigKey *key, const IniEntry *entry, void *field) {
        const char *s = entry->value;

        for (size_t i = 0; i < 5; i++)
                if (i == 2 ? s[i] != ':' : !isdigit((unsigned char)s[i]))
                        return -EINVAL;
        unsigned hours = (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
        unsigned minutes = (unsigned)(s[3] - '0') * 10 + (unsigned)(s[4] - '0');
        if (s[5])
                return -EINVAL;
        if (hours > 23 || minutes > 59)
                return -ERANGE;
        *(unsigned *)field = hours * 60 + minutes;
        return 0;
}

static void describe_clock(_unused_ const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "a time of day from 00:00 to 23:59");
}

/* The C library silently takes an unknown zone for UTC. */
bool config_timezone_is_installed(const char *name) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), ZONEINFO "/%s", name);
        return streq(name, "UTC") || access(path, R_OK) == 0;
}

static int parse_timezone(_unused_ const ConfigKey *key, const IniEntry *entry, void *field) {
        const char *name = entry->value;

        if (!isalpha((unsigned char)*name) || strlen(name) > 64 || strstr(name, "..") || strstr(name, "//"))
                return -EINVAL;
        for (const char *p = name; *p; p++)
                if (!isalnum((unsigned char)*p) && !strchr("/_+-.", *p))
                        return -EINVAL;
        return replace_string(field, name);
}

static void describe_timezone(_unused_ const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "an IANA time zone such as Europe/Berlin, or UTC,");
}

static int parse_entry(_unused_ const ConfigKey *key, const IniEntry *entry, void *field) {
        *(const IniEntry **)field = entry;
        return 0;
}

static void describe_entry(const ConfigKey *key, char *buffer, size_t size) {
        /* `choices` is the sentence of keys that only a later step can check. */
        snprintf(buffer, size, "%s", key->choices ? key->choices->name : "a value");
}

const KeyType key_unsigned = {sizeof(unsigned), parse_unsigned, describe_number};
const KeyType key_number = {sizeof(int), parse_number, describe_number};
const KeyType key_u16 = {sizeof(uint16_t), parse_u16, describe_u16};
const KeyType key_msec = {sizeof(unsigned), parse_msec, describe_msec};
const KeyType key_usec = {sizeof(uint64_t), parse_usec, describe_usec};
const KeyType key_count = {sizeof(uint64_t), parse_count, describe_number};
const KeyType key_bytes = {sizeof(uint64_t), parse_bytes, describe_bytes};
const KeyType key_bool = {sizeof(bool), parse_bool, describe_bool};
const KeyType key_choice = {0, parse_choice, describe_choice};
const KeyType key_text = {sizeof(char *), parse_text, describe_text};
const KeyType key_name = {sizeof(char *), parse_name, describe_name};
const KeyType key_names = {sizeof(char *), parse_names, describe_names};
const KeyType key_path = {sizeof(char *), parse_path, describe_path};
const KeyType key_degrees = {sizeof(double), parse_degrees, describe_degrees};
const KeyType key_clock = {sizeof(unsigned), parse_clock, describe_clock};
const KeyType key_timezone = {sizeof(char *), parse_timezone, describe_timezone};
const KeyType key_entry = {sizeof(IniEntry *), parse_entry, describe_entry};
