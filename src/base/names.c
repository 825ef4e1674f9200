#include "phasegate/names.h"

#include <string.h>

#define ONE_DAY_S 86400
#define DAYS_TO_1970 719162 /* from 0001-01-01 */

/* --- words --- */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Edits that make word into to, or limit + 1 when it takes more. rows has room for 3 * (strlen(to)
 * + 1): the two rows of the table before the current one are all that the recurrence looks at. */
static size_t edit_distance(const char *word, const char *to, size_t limit, size_t *rows)
{
    size_t n = strlen(word), m = strlen(to);
    if (n > m + limit || m > n + limit)
        return limit + 1;

    size_t *before = rows, *above = rows + m + 1, *row = rows + 2 * (m + 1);
    for (size_t j = 0; j <= m; j++)
        above[j] = j;

    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replaced = above[j - 1] + (word[i - 1] != to[j - 1]);
            row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && word[i - 1] == to[j - 2] && word[i - 2] == to[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return least(above[m], limit + 1);
}

const char *name_nearest(const char *word, const char *const *words)
{
    size_t longest = 0;
    for (const char *const *w = words; *w; w++)
        longest = strlen(*w) > longest ? strlen(*w) : longest;

    AUTO(arena) arena = {0};
    size_t *rows = arena_array(&arena, size_t, 3 * (longest + 1));
    const char *nearest = NULL;
    size_t nearest_distance = 0;
    for (const char *const *w = words; *w; w++) {
        size_t limit = strlen(*w) / 3;
        if (nearest && nearest_distance <= limit) {
            if (nearest_distance == 0)
                break;
            limit = nearest_distance - 1;
        }
        size_t distance = edit_distance(word, *w, limit, rows);
        if (distance <= limit) {
            nearest = *w;
            nearest_distance = distance;
        }
    }
    return nearest;
}

/* --- ids --- */

static bool is_id_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_plan_id(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++)
        if (n == 63 || !(is_id_char(s[n]) || s[n] == '-'))
            return false;
    return n > 0;
}

bool is_word_id(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++)
        if (n == 63 || !(is_id_char(s[n]) || (n > 0 && (s[n] == '-' || s[n] == '_'))))
            return false;
    return n > 0;
}

/* --- numbers --- */

/* Reads digits up to the first other character; at least one, and no overflow. */
static bool digits_read(const char **s, int64_t *out)
{
    int64_t value = 0;
    const char *c = *s;
    for (; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *c - '0', &value))
            return false;
    if (c == *s)
        return false;
    *s = c;
    *out = value;
    return true;
}

/* Reads exactly n digits. */
static bool digits_read_n(const char **s, int n, int *out)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        char c = (*s)[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *s += n;
    *out = value;
    return true;
}

static bool char_read(const char **s, const char *any_of)
{
    if (!**s || !strchr(any_of, **s))
        return false;
    (*s)++;
    return true;
}

/* --- times --- */

struct civil {
    int year, month, day, hour, minute, second;
};

static bool is_leap_year(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap_year(year));
}

/* From 0001-01-01 to 1 January of year. */
static int64_t days_before_year(int year)
{
    int64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400;
}

static bool civil_to_seconds(const struct civil *c, int64_t *out_seconds)
{
    if (c->year < 1 || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > days_in_month(c->year, c->month) || c->hour > 23 || c->minute > 59 ||
        c->second > 59)
        return false;

    int64_t days = days_before_year(c->year) + c->day - 1 - DAYS_TO_1970;
    for (int month = 1; month < c->month; month++)
        days += days_in_month(c->year, month);
    *out_seconds = days * ONE_DAY_S + c->hour * 3600 + c->minute * 60 + c->second;
    return true;
}

static struct civil civil_from_seconds(int64_t seconds)
{
    int64_t since_year_1 = seconds + (int64_t) DAYS_TO_1970 * ONE_DAY_S;
    int64_t days = since_year_1 / ONE_DAY_S;
    int in_day = (int) (since_year_1 % ONE_DAY_S);

    /* The guess by the mean year is off by one at most. */
    struct civil c = {.year = (int) (days * 400 / 146097) + 1, .month = 1};
    while (days_before_year(c.year) > days)
        c.year--;
    while (days_before_year(c.year + 1) <= days)
        c.year++;

    int day = (int) (days - days_before_year(c.year));
    for (; day >= days_in_month(c.year, c.month); c.month++)
        day -= days_in_month(c.year, c.month);
    c.day = day + 1;
    c.hour = in_day / 3600;
    c.minute = in_day / 60 % 60;
    c.second = in_day % 60;
    return c;
}

/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what four digits of a year can say. */
#define FIRST_SECOND (-62135596800)
#define LAST_SECOND 253402300799

bool time_from_stamp(const char *stamp, int64_t *out_seconds)
{
    struct civil c;
    const char *s = stamp;
    return digits_read_n(&s, 4, &c.year) && digits_read_n(&s, 2, &c.month) &&
           digits_read_n(&s, 2, &c.day) && digits_read_n(&s, 2, &c.hour) &&
           digits_read_n(&s, 2, &c.minute) && digits_read_n(&s, 2, &c.second) && *s == '\0' &&
           civil_to_seconds(&c, out_seconds);
}

/* Writes value as exactly n digits. Returns where they end. */
static char *digits_write(char *to, int n, int value)
{
    for (int i = n - 1; i >= 0; i--, value /= 10)
        to[i] = (char) ('0' + value % 10);
    return to + n;
}

void time_to_stamp(int64_t seconds, char out[15])
{
    if (seconds < FIRST_SECOND)
        seconds = FIRST_SECOND;
    if (seconds > LAST_SECOND)
        seconds = LAST_SECOND;

    struct civil c = civil_from_seconds(seconds);
    char *to = digits_write(out, 4, c.year);
    const int pairs[] = {c.month, c.day, c.hour, c.minute, c.second};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        to = digits_write(to, 2, pairs[i]);
    *to = '\0';
}

void time_to_rfc3339(int64_t epoch_ms, char out[25])
{
    if (epoch_ms < FIRST_SECOND * 1000)
        epoch_ms = FIRST_SECOND * 1000;
    if (epoch_ms > LAST_SECOND * 1000 + 999)
        epoch_ms = LAST_SECOND * 1000 + 999;

    /* Before 1970 the remainder is negative, but the milliseconds still count upwards. */
    int ms = (int) (epoch_ms % 1000);
    if (ms < 0)
        ms += 1000;
    struct civil c = civil_from_seconds((epoch_ms - ms) / 1000);

    const int pairs[] = {c.month, c.day, c.hour, c.minute, c.second};
    char *to = digits_write(out, 4, c.year);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        *to++ = "--T::"[i];
        to = digits_write(to, 2, pairs[i]);
    }
    *to++ = '.';
    to = digits_write(to, 3, ms);
    *to++ = 'Z';
    *to = '\0';
}

/* Z or +hh:mm, to the end of the text. */
static bool offset_read(const char *s, int64_t *out_seconds)
{
    int64_t sign = *s == '-' ? -1 : 1;
    int hours = 0, minutes = 0;
    if (!char_read(&s, "Zz") &&
        !(char_read(&s, "+-") && digits_read_n(&s, 2, &hours) && char_read(&s, ":") &&
          digits_read_n(&s, 2, &minutes) && hours <= 23 && minutes <= 59))
        return false;
    if (*s)
        return false;
    *out_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool time_from_rfc3339(const char *s, int64_t *out_epoch_ms)
{
    struct civil c;
    if (!(digits_read_n(&s, 4, &c.year) && char_read(&s, "-") && digits_read_n(&s, 2, &c.month) &&
          char_read(&s, "-") && digits_read_n(&s, 2, &c.day) && char_read(&s, "Tt ") &&
          digits_read_n(&s, 2, &c.hour) && char_read(&s, ":") && digits_read_n(&s, 2, &c.minute) &&
          char_read(&s, ":") && digits_read_n(&s, 2, &c.second)))
        return false;

    /* Any number of decimals; those past the millisecond are dropped. */
    int ms = 0;
    if (char_read(&s, ".")) {
        int weight = 100, digit;
        if (!digits_read_n(&s, 1, &digit))
            return false;
        do {
            ms += digit * weight;
            weight /= 10;
        } while (digits_read_n(&s, 1, &digit));
    }

    int64_t seconds, offset;
    if (!offset_read(s, &offset) || !civil_to_seconds(&c, &seconds))
        return false;
    *out_epoch_ms = (seconds - offset) * 1000 + ms;
    return true;
}

/* --- durations, sizes, percentages --- */

struct unit {
    const char *word;
    int64_t factor;
};

static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"KiB", (int64_t) 1 << 10},
    {"MiB", (int64_t) 1 << 20},
    {"GiB", (int64_t) 1 << 30},
    {"TiB", (int64_t) 1 << 40},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool quantity_read(const char *s, const struct unit *units, size_t count, int64_t *out)
{
    int64_t value;
    if (!digits_read(&s, &value))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(s, units[i].word) != 0)
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value))
            return false;
        *out = value;
        return true;
    }
    return false;
}

bool duration_from_text(const char *s, int64_t *out_ms)
{
    return quantity_read(s, time_units, COUNT(time_units), out_ms);
}

void duration_to_text(struct str *out, int64_t ms)
{
    /* Unsigned, because the smallest int64_t has no positive counterpart. */
    uint64_t left = ms < 0 ? 0 - (uint64_t) ms : (uint64_t) ms;
    if (left == 0) {
        str_add(out, "0s");
        return;
    }
    if (ms < 0)
        str_addc(out, '-');

    /* The largest unit to start from so that two are enough: 1d 2h 3m becomes 26h 3m. */
    uint64_t amounts[COUNT(time_units)];
    for (size_t first = 0; first < COUNT(time_units); first++) {
        uint64_t rest = left;
        size_t used = 0;
        for (size_t i = 0; i < COUNT(time_units); i++) {
            uint64_t factor = (uint64_t) time_units[i].factor;
            amounts[i] = i < first ? 0 : rest / factor;
            rest = i < first ? rest : rest % factor;
            used += amounts[i] > 0;
        }
        if (used <= 2)
            break;
    }

    bool is_second = false;
    for (size_t i = 0; i < COUNT(time_units); i++) {
        if (amounts[i] == 0)
            continue;
        str_addf(out, "%s%llu%s", is_second ? " " : "", (unsigned long long) amounts[i],
                 time_units[i].word);
        is_second = true;
    }
}

bool size_from_text(const char *s, int64_t *out_bytes)
{
    return quantity_read(s, size_units, COUNT(size_units), out_bytes);
}

/* By hand, because strtod takes hexadecimal, "inf" and the locale's decimal point. */
bool percent_from_text(const char *s, double *out)
{
    int64_t whole, parts = 0, scale = 1;
    if (!digits_read(&s, &whole) || whole > 100)
        return false;
    if (char_read(&s, ".")) {
        const char *start = s;
        if (!digits_read(&s, &parts) || s - start > 9)
            return false;
        for (; start < s; start++)
            scale *= 10;
    }
    if (strcmp(s, "%") != 0 || (whole == 100 && parts > 0))
        return false;
    *out = (double) (whole * scale + parts) / (double) scale;
    return true;
}

/* --- SQL --- */

/* Adds text with each byte that is in twice doubled. */
static void sql_doubled(struct str *out, const char *text, const char *twice)
{
    for (size_t n; *text; text += n) {
        n = strcspn(text, twice);
        str_addn(out, text, n);
        if (text[n]) {
            str_addc(out, text[n]);
            str_addc(out, text[n]);
            n++;
        }
    }
}

void sql_ident(struct str *out, const char *name)
{
    str_addc(out, '"');
    sql_doubled(out, name, "\"");
    str_addc(out, '"');
}

void sql_qualified(struct str *out, const char *schema_or_null, const char *name)
{
    if (schema_or_null) {
        sql_ident(out, schema_or_null);
        str_addc(out, '.');
    }
    sql_ident(out, name);
}

void sql_literal(struct str *out, const char *text)
{
    if (!text) {
        str_add(out, "NULL");
        return;
    }
    /* Without a backslash, '' means the same whatever standard_conforming_strings is. */
    bool has_backslash = strchr(text, '\\') != NULL;
    str_add(out, has_backslash ? "E'" : "'");
    sql_doubled(out, text, has_backslash ? "'\\" : "'");
    str_addc(out, '\'');
}

void sql_element(struct str *out, const char *text)
{
    str_addc(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            str_addc(out, '\\');
        str_addc(out, *text);
    }
    str_addc(out, '"');
}

/* ---- paths ------------------------------------------------------------------------------------- */

/* Takes the last part away, if there is one that is a name. */
static bool climb(struct str *path)
{
    size_t n = path->len;

    while (n > 0 && path->text[n - 1] != '/')
        n--;
    if (path->len == n || strcmp(path->text + n, "..") == 0)
        return n == 1 && path->len == 1; /* above the root is the root */
    path->len = n > 1 ? n - 1 : n;
    path->text[path->len] = '\0';
    return true;
}

const char *path_tidy(struct arena *a, const char *path, bool climbs)
{
    AUTO(str) out = {0};

    if (!path || !*path)
        return path;
    if (*path == '/')
        str_addc(&out, '/');
    for (const char *s = path; *s;) {
        size_t n = strcspn(s, "/");
        bool is_up = n == 2 && memcmp(s, "..", 2) == 0;

        if (n > 0 && !(n == 1 && *s == '.') && !(is_up && climbs && climb(&out)))
            str_addf(&out, "%s%.*s", out.len > 0 && out.text[out.len - 1] != '/' ? "/" : "",
                     (int) n, s);
        s += n + (s[n] == '/');
    }
    return arena_strdup(a, out.len > 0 ? str_text(&out) : ".");
}

const char *sql_put(struct arena *a, const char *sql, const char *hole, const char *text)
{
    const char *mark = arena_printf(a, "<<%s>>", hole), *at;
    AUTO(str) out = {0};

    for (; (at = strstr(sql, mark)) != NULL; sql = at + strlen(mark)) {
        str_addn(&out, sql, (size_t) (at - sql));
        str_add(&out, text);
    }
    str_add(&out, sql);
    return arena_strdup(a, str_text(&out));
}
