#include "generate_int.h"

#include <string.h>

static uint32_t fnv(const char *s)
{
    uint32_t h = 2166136261u;

    for (; *s; s++)
        h = (h ^ (unsigned char) *s) * 16777619u;
    return h;
}

const char *generate_name(struct arena *a, const char *prefix, const char *name)
{
    size_t room = IDENT_BYTES - strlen(prefix), len = strlen(name);

    if (len <= room)
        return arena_printf(a, "%s%s", prefix, name);
    len = room - strlen("_01234567");
    while (len > 0 && ((unsigned char) name[len] & 0xC0) == 0x80)
        len--;
    return arena_printf(a, "%s%.*s_%08x", prefix, (int) len, name, fnv(name));
}

void sql_list_add(struct arena *a, struct sql_list *l, const char *sql)
{
    l->items = arena_grow(a, l->items, sizeof *l->items * (size_t) l->n,
                          sizeof *l->items * (size_t) (l->n + 1));
    l->items[l->n++] = sql;
}

void sql_list_take(struct arena *a, struct sql_list *l, struct str *s)
{
    sql_list_add(a, l, arena_strdup(a, str_text(s)));
    str_clear(s);
}
