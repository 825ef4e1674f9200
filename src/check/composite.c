/* Values of composite types. What fields they have isn't in the catalogue of a state: the server is asked once, and only
 * where a table has a column of such a type.
 */
#include "check/work.h"

#include "sql_embedded.h"

#include <stdlib.h>

#define DEPTH_MAX 4

struct composite_field {
    unsigned of, type, base; /* of: the composite type */
    int typmod;
};

static bool has_any(const struct catalogue *c)
{
    for (int i = 0; i < c->n_relations; i++)
        for (int k = 0; k < c->relations[i].n_columns; k++)
            if (c->relations[i].columns[k].kind == 'c')
                return true;
    return false;
}

bool composites_read(struct proof *p, struct err *err)
{
    struct wire_op op = {
        .kind = WIRE_RUN, .sql = sql_select_catalogue_composites, .keep_rows = true, .sync = true};
    struct wire_result r = {0};

    p->n_fields = 0;
    if (!has_any(&p->baseline))
        return true;
    if (!wire_run(p->root, p->scratch, &op, 1, &r, err))
        return false;
    p->fields = arena_array(p->a, struct composite_field, r.n_rows + 1);
    for (int i = 0; r.ok && i < r.n_rows; i++)
        p->fields[p->n_fields++] = (struct composite_field) {
            (unsigned) strtoul(r.cell[i][0], NULL, 10), (unsigned) strtoul(r.cell[i][1], NULL, 10),
            (unsigned) strtoul(r.cell[i][2], NULL, 10), (int) strtol(r.cell[i][3], NULL, 10)};
    return true;
}

static void add_field(struct str *out, const char *value)
{
    str_add(out, value ? "\"" : "");
    for (const char *s = value; s && *s; s++) {
        if (*s == '"' || *s == '\\')
            str_addc(out, *s);
        str_addc(out, *s);
    }
    str_add(out, value ? "\"" : "");
}

static const char *composite_of(struct proof *p, unsigned type, int variant, int depth)
{
    AUTO(str) out = {0};
    int n = 0;

    for (int i = 0; depth < DEPTH_MAX && i < p->n_fields; i++) {
        const struct composite_field *f = &p->fields[i];

        if (f->of != type)
            continue;
        const char *v = value_of(p->a, &p->baseline, f->type, f->base, f->typmod, variant);
        str_add(&out, n++ ? "," : "(");
        add_field(&out, v ? v : composite_of(p, f->base, variant, depth + 1));
    }
    str_add(&out, ")");
    return n > 0 ? arena_strdup(p->a, str_text(&out)) : NULL;
}

/* An array of one item; of none where no item is known. */
static const char *array_of(struct proof *p, const struct catalogue *c,
                            const struct cat_column *col, int variant)
{
    const char *v =
        col->element ? value_of(p->a, c, col->element, col->element, -1, variant) : NULL;
    AUTO(str) s = {0};

    str_addc(&s, '{');
    if (v)
        sql_element(&s, v);
    str_addc(&s, '}');
    return arena_strdup(p->a, str_text(&s));
}

const char *column_value(struct proof *p, const struct catalogue *c, const struct cat_column *col,
                         int variant)
{
    const char *v = value_of(p->a, c, col->type, col->base, col->typmod, variant);

    if (!v && col->category == 'A')
        return array_of(p, c, col, variant);
    return v || col->category != 'C' ? v : composite_of(p, col->base, variant, 0);
}
