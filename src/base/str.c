#include "phasegate/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_FIRST ((size_t) 64)

const char *str_text(const struct str *s) { return s->text ? s->text : ""; }

/* How many bytes of text may still be added. */
static size_t str_room(const struct str *s)
{
    size_t ceiling = s->ceiling ? s->ceiling : STR_CEILING;
    if (ceiling > PTRDIFF_MAX - 1)
        ceiling = PTRDIFF_MAX - 1;
    return s->len < ceiling ? ceiling - s->len : 0;
}

/* Makes memory for n more bytes and the NUL; n is within str_room(). */
static void str_reserve(struct str *s, size_t n)
{
    size_t need = s->len + n + 1;
    if (need <= s->cap)
        return;

    /* Doubling, but never past what the ceiling lets it use. */
    size_t cap = s->cap ? s->cap : CAP_FIRST;
    while (cap < need)
        cap = cap > PTRDIFF_MAX / 2 ? need : cap * 2;
    size_t most = s->len + str_room(s) + 1;
    if (cap > most)
        cap = most;

    char *text = realloc(s->text, cap);
    if (!text)
        abort();
    s->text = text;
    s->cap = cap;
}

void str_add(struct str *s, const char *text)
{
    if (text)
        str_addn(s, text, strlen(text));
}

void str_addn(struct str *s, const char *text, size_t n)
{
    size_t room = str_room(s);
    if (n > room) {
        s->full = true;
        n = room;
    }
    if (n == 0)
        return;

    /* A part of itself may be added; it moves when the memory does. */
    uintptr_t from = (uintptr_t) text, own = (uintptr_t) s->text;
    bool is_own = s->text && from >= own && from < own + s->cap;
    str_reserve(s, n);
    if (is_own)
        text = s->text + (from - own);

    memmove(s->text + s->len, text, n);
    s->len += n;
    s->text[s->len] = '\0';
}

void str_addc(struct str *s, char c) { str_addn(s, &c, 1); }

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(s, fmt, ap);
    va_end(ap);
}

void str_vaddf(struct str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int formatted = vsnprintf(NULL, 0, fmt, again);
    va_end(again);

    size_t room = str_room(s);
    size_t n = formatted < 0 ? 0 : (size_t) formatted;
    if (formatted < 0 || n > room) { /* negative: longer than any int */
        s->full = true;
        n = n > room ? room : n;
    }
    if (n == 0)
        return;

    str_reserve(s, n);
    vsnprintf(s->text + s->len, n + 1, fmt, ap);
    s->len += n;
}

void str_set(struct str *s, const char *text)
{
    /* The new text may be a part of the old one. */
    struct str fresh = {.ceiling = s->ceiling};
    str_add(&fresh, text);
    free(s->text);
    *s = fresh;
}

void str_clear(struct str *s)
{
    s->len = 0;
    s->full = false;
    if (s->text)
        s->text[0] = '\0';
}

void str_free(struct str *s)
{
    free(s->text);
    *s = (struct str) {.ceiling = s->ceiling};
}

size_t str_utf8_length(const char *text, size_t n, size_t *bad)
{
    const unsigned char *p = (const unsigned char *) text;

    *bad = 1;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;

    size_t len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    /* The second byte's range rules out overlong forms, surrogates and what is past U+10FFFF. */
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xBF) {
        if (i == n || p[i] < low || p[i] > high) {
            *bad = i;
            return 0;
        }
    }
    return len;
}

unsigned str_utf8_point(const char *text, size_t len)
{
    static const unsigned char first[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    const unsigned char *p = (const unsigned char *) text;
    unsigned c = p[0] & first[len];

    for (size_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3F);
    return c;
}

bool str_is_control(unsigned point)
{
    bool is_turn = (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069) ||
                   point == 0x200E || point == 0x200F || point == 0x061C;

    return point < 0x20 || (point >= 0x7F && point <= 0x9F) || is_turn;
}
