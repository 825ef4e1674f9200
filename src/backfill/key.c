/* Keys as texts and as JSON: ["1","b"]. */
#include "crew.h"

#include <jansson.h>
#include <stdlib.h>

const char *key_json(struct arena *a, const char *const *key, int n)
{
    json_t *list = json_array();
    const char *out = NULL;

    for (int i = 0; key && i < n; i++)
        json_array_append_new(list, json_string(key[i]));
    if (key) {
        char *text = json_dumps(list, JSON_COMPACT);
        out = arena_strdup(a, text);
        free(text);
    }
    json_decref(list);
    return out;
}

const char **key_read(struct arena *a, const char *json, int n)
{
    json_t *list = json ? json_loads(json, 0, NULL) : NULL;
    const char **out = NULL;

    if (json_is_array(list) && json_array_size(list) == (size_t) n) {
        out = arena_array(a, const char *, n);
        for (int i = 0; i < n; i++)
            out[i] = arena_strdup(a, json_string_value(json_array_get(list, (size_t) i)));
    }
    json_decref(list);
    return out;
}

void place_set(struct place *p, const char *const *key, int n)
{
    arena_reset(&p->a);
    p->key = NULL;
    if (!key)
        return;
    p->key = arena_array(&p->a, const char *, n);
    for (int i = 0; i < n; i++)
        p->key[i] = arena_strdup(&p->a, key[i]);
}

void place_swap(struct place *x, struct place *y)
{
    struct place z = *x;

    *x = *y;
    *y = z;
}
