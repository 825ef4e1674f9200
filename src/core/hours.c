/* Times of the week. Pure. */
#include "phasegate/hours.h"

#include <stddef.h>
#include <string.h>

#define DAYS 7
#define ALL_DAYS ((1u << DAYS) - 1)
#define DAY_MINUTES (24 * 60)

static const char *const day_words[DAYS] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c; }

/* -1: not a day. */
static int day_at(const char *s)
{
    for (int d = 0; d < DAYS; d++)
        if (lower(s[0]) == day_words[d][0] && lower(s[1]) == day_words[d][1] &&
            lower(s[2]) == day_words[d][2])
            return d;
    return -1;
}

/* "Mon", "Mon-Fri", "Sat-Mon,Wed" and the blanks behind; without days: all of them. */
static bool take_days(const char **at, unsigned *out)
{
    const char *s = *at;

    *out = 0;
    if (is_digit(*s)) {
        *out = ALL_DAYS;
        return true;
    }
    for (;;) {
        int first = day_at(s), last = first;

        if (first < 0)
            return false;
        s += 3;
        if (*s == '-') {
            if ((last = day_at(s + 1)) < 0)
                return false;
            s += 4;
        }
        for (int d = first;; d = (d + 1) % DAYS) {
            *out |= 1u << d;
            if (d == last)
                break;
        }
        if (*s != ',')
            break;
        s++;
    }
    if (*s != ' ')
        return false;
    *at = s + strspn(s, " ");
    return true;
}

/* "HH:MM" */
static bool take_time(const char **at, int *out)
{
    const char *s = *at;

    for (int i = 0; i < 5; i++)
        if (i == 2 ? s[i] != ':' : !is_digit(s[i]))
            return false;
    int hour = 10 * (s[0] - '0') + s[1] - '0', minute = 10 * (s[3] - '0') + s[4] - '0';
    *out = 60 * hour + minute;
    *at = s + 5;
    return minute < 60 && *out <= DAY_MINUTES;
}

bool hours_parse(const char *text, struct hours *out)
{
    const char *s = text + strspn(text, " ");

    *out = (struct hours) {.zone = "UTC"};
    if (!take_days(&s, &out->days) || !take_time(&s, &out->from) || *s++ != '-' ||
        !take_time(&s, &out->to) || out->from == out->to || out->from == DAY_MINUTES)
        return false;
    if (*s && *s != ' ')
        return false;
    s += strspn(s, " ");
    if (*s)
        out->zone = s;
    /* Names of zones have no blanks; one at the end isn't a part of it. */
    return !strchr(s, ' ');
}

static bool has_day(const struct hours *h, int weekday)
{
    return weekday >= 1 && weekday <= DAYS && (h->days & 1u << (weekday - 1)) != 0;
}

bool hours_contain(const struct hours *h, int weekday, int minute)
{
    if (h->from < h->to)
        return has_day(h, weekday) && minute >= h->from && minute < h->to;
    return (has_day(h, weekday) && minute >= h->from) ||
           (has_day(h, weekday == 1 ? DAYS : weekday - 1) && minute < h->to);
}
