#include "phasegate/json_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_begin(struct json_out *j, struct str *to, bool pretty)
{
    *j = (struct json_out) {.to = to, .pretty = pretty};
}

static void json_newline(struct json_out *j)
{
    if (!j->pretty)
        return;
    str_addc(j->to, '\n');
    for (int i = 0; i < j->depth; i++)
        str_add(j->to, "  ");
}

static void json_escape(struct str *to, unsigned c)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: byte, letter */
    for (const char *pair = shorts; *pair; pair += 2) {
        if ((unsigned char) *pair == c) {
            str_addc(to, '\\');
            str_addc(to, pair[1]);
            return;
        }
    }
    str_addf(to, "\\u%04x", c);
}

static void json_quote(struct str *to, const char *text, size_t n)
{
    size_t plain = 0, at = 0; /* text[plain..at) needs no change and is added in one go */

    str_addc(to, '"');
    while (at < n) {
        size_t bad, len = str_utf8_length(text + at, n - at, &bad);
        unsigned c = len ? str_utf8_point(text + at, len) : 0;
        if (len && (c == 0x7F || !str_is_control(c)) && c != '"' && c != '\\') {
            at += len;
            continue;
        }
        str_addn(to, text + plain, at - plain);
        if (len)
            json_escape(to, c);
        else
            str_add(to, "\xEF\xBF\xBD");
        at += len ? len : bad;
        plain = at;
    }
    if (at > plain)
        str_addn(to, text + plain, at - plain);
    str_addc(to, '"');
}

/* What comes before every value: comma, line, key. */
static void json_lead(struct json_out *j, const char *key)
{
    bool wants_key = j->depth > 0 && j->is_object[j->depth - 1];
    if (j->is_done || wants_key != (key != NULL))
        abort();
    if (j->depth == 0)
        return;

    if (!j->first[j->depth - 1])
        str_addc(j->to, ',');
    j->first[j->depth - 1] = false;
    json_newline(j);
    if (key) {
        json_quote(j->to, key, strlen(key));
        str_add(j->to, j->pretty ? ": " : ":");
    }
}

/* What comes after every complete value. */
static void json_trail(struct json_out *j)
{
    if (j->depth > 0)
        return;
    j->is_done = true;
    if (j->pretty)
        str_addc(j->to, '\n');
}

static void json_open(struct json_out *j, const char *key, bool is_object)
{
    json_lead(j, key);
    if (j->depth == JSON_DEPTH)
        abort();
    str_addc(j->to, is_object ? '{' : '[');
    j->is_object[j->depth] = is_object;
    j->first[j->depth] = true;
    j->depth++;
}

static void json_close(struct json_out *j, bool is_object)
{
    if (j->depth == 0 || j->is_object[j->depth - 1] != is_object)
        abort();
    j->depth--;
    if (!j->first[j->depth])
        json_newline(j);
    str_addc(j->to, is_object ? '}' : ']');
    json_trail(j);
}

void json_object_begin(struct json_out *j, const char *key_or_null)
{
    json_open(j, key_or_null, true);
}

void json_object_end(struct json_out *j) { json_close(j, true); }

void json_array_begin(struct json_out *j, const char *key_or_null)
{
    json_open(j, key_or_null, false);
}

void json_array_end(struct json_out *j) { json_close(j, false); }

void json_str(struct json_out *j, const char *key_or_null, const char *text_or_null)
{
    if (text_or_null)
        json_strn(j, key_or_null, text_or_null, strlen(text_or_null));
    else
        json_put_null(j, key_or_null);
}

void json_strn(struct json_out *j, const char *key_or_null, const char *text, size_t n)
{
    json_lead(j, key_or_null);
    json_quote(j->to, text, n);
    json_trail(j);
}

void json_int(struct json_out *j, const char *key_or_null, int64_t v)
{
    json_lead(j, key_or_null);
    str_addf(j->to, "%" PRId64, v);
    json_trail(j);
}

void json_double(struct json_out *j, const char *key_or_null, double v)
{
    if (!isfinite(v)) {
        json_put_null(j, key_or_null);
        return;
    }

    /* The fewest digits that read back as the same number. */
    char digits[64];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, v);
        if (strtod(digits, NULL) == v)
            break;
    }

    json_lead(j, key_or_null);
    /* A locale may have another decimal point, even one of several bytes. */
    bool is_pointed = false;
    for (const char *c = digits; *c; c++) {
        if (strchr("0123456789+-e", *c))
            str_addc(j->to, *c);
        else if (!is_pointed) {
            str_addc(j->to, '.');
            is_pointed = true;
        }
    }
    json_trail(j);
}

void json_bool(struct json_out *j, const char *key_or_null, bool v)
{
    json_raw(j, key_or_null, v ? "true" : "false");
}

void json_put_null(struct json_out *j, const char *key_or_null)
{
    json_raw(j, key_or_null, "null");
}

void json_raw(struct json_out *j, const char *key_or_null, const char *json)
{
    json_lead(j, key_or_null);
    str_add(j->to, json ? json : "null");
    json_trail(j);
}
