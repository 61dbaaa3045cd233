/* SPDX-License-Identifier: Apache-2.0 */
#include "message/rfc3339.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define LAST_SECOND INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static char *put_digits(char *to, unsigned value, unsigned n) {
        for (unsigned i = n; i-- > 0; value /= 10)
                to[i] = (char)('0' + value % 10);
        return to + n;
}

/* By hand: it is done for every event. */
void rfc3339_format(int64_t wall_usec, char ret[RFC3339_MAX]) {
        const int64_t last = LAST_SECOND * (int64_t)USEC_PER_SEC + (int64_t)USEC_PER_SEC - 1;
        int64_t usec = MAX(0, MIN(wall_usec, last));
        time_t seconds = (time_t)(usec / (int64_t)USEC_PER_SEC);
        struct tm tm;

        (void)gmtime_r(&seconds, &tm);
        char *to = put_digits(ret, (unsigned)tm.tm_year + 1900, 4);
        *to++ = '-';
        to = put_digits(to, (unsigned)tm.tm_mon + 1, 2);
        *to++ = '-';
        to = put_digits(to, (unsigned)tm.tm_mday, 2);
        *to++ = 'T';
        to = put_digits(to, (unsigned)tm.tm_hour, 2);
        *to++ = ':';
        to = put_digits(to, (unsigned)tm.tm_min, 2);
        *to++ = ':';
        to = put_digits(to, (unsigned)tm.tm_sec, 2);
        *to++ = '.';
        to = put_digits(to, (unsigned)(usec % (int64_t)USEC_PER_SEC), 6);
        *to++ = 'Z';
        *to = 0;
}

/* Exactly n digits, within bounds. */
static int digits(const char **s, int n, int min, int max, int *ret) {
        int value = 0;

        for (int i = 0; i < n; i++, (*s)++) {
                if (**s < '0' || **s > '9')
                        return -EINVAL;
                value = value * 10 + (**s - '0');
        }
        if (value < min || value > max)
                return -EINVAL;
        *ret = value;
        return 0;
}

static int literal(const char **s, char upper, char lower) {
        if (**s != upper && **s != lower)
                return -EINVAL;
        (*s)++;
        return 0;
}

static int days_of_month(int year, int month) {
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return days[month - 1] + (month == 2 && leap);
}

static int parse_date(const char **s, struct tm *tm) {
        int r = digits(s, 4, 0, 9999, &tm->tm_year);

        if (!r)
                r = literal(s, '-', '-');
        if (!r)
                r = digits(s, 2, 1, 12, &tm->tm_mon);
        if (!r)
                r = literal(s, '-', '-');
        return r ? r : digits(s, 2, 1, days_of_month(tm->tm_year, tm->tm_mon), &tm->tm_mday);
}

static int parse_time(const char **s, struct tm *tm, int64_t *ret_usec) {
        int64_t usec = 0, unit = (int64_t)USEC_PER_SEC / 10;
        int r = digits(s, 2, 0, 23, &tm->tm_hour);

        if (!r)
                r = literal(s, ':', ':');
        if (!r)
                r = digits(s, 2, 0, 59, &tm->tm_min);
        if (!r)
                r = literal(s, ':', ':');
        if (!r)
                r = digits(s, 2, 0, 60, &tm->tm_sec);
        if (r)
                return r;
        if (**s == '.') {
                (*s)++;
                if (**s < '0' || **s > '9')
                        return -EINVAL;
                for (; **s >= '0' && **s <= '9'; (*s)++, unit /= 10)
                        usec += (**s - '0') * unit;
        }
        *ret_usec = usec;
        return 0;
}

static int parse_offset(const char **s, int *ret_seconds) {
        int sign = **s == '+' ? 1 : **s == '-' ? -1 : 0, hours, minutes;

        *ret_seconds = 0;
        if (!sign)
                return literal(s, 'Z', 'z');
        (*s)++;
        int r = digits(s, 2, 0, 23, &hours);
        if (!r)
                r = literal(s, ':', ':');
        if (!r)
                r = digits(s, 2, 0, 59, &minutes);
        if (!r)
                *ret_seconds = sign * (hours * 3600 + minutes * 60);
        return r;
}

int rfc3339_parse(const char *s, int64_t *ret_wall_usec) {
        struct tm tm = {0};
        int64_t usec;
        int offset;

        int r = parse_date(&s, &tm);
        if (!r)
                r = literal(&s, 'T', 't');
        if (!r)
                r = parse_time(&s, &tm, &usec);
        if (!r)
                r = parse_offset(&s, &offset);
        if (r || *s)
                return -EINVAL;
        bool leap_second = tm.tm_sec == 60;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        int64_t seconds = (int64_t)timegm(&tm) - offset;
        /* Leap seconds end a day of UTC and are counted to the next one. */
        if (leap_second && seconds % 86400 != 0)
                return -EINVAL;
        if (seconds < 0 || seconds > LAST_SECOND)
                return -ERANGE;
        *ret_wall_usec = seconds * (int64_t)USEC_PER_SEC + usec;
        return 0;
}
