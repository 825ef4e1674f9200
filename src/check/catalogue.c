/* Reading the shadow's catalogue. */
#include "check/catalogue.h"
#include "phasegate/names.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

uint64_t print_text(uint64_t h, const char *text)
{
    for (const char *s = text ? text : "\1"; *s; s++)
        h = (h ^ (unsigned char) *s) * UINT64_C(1099511628211);
    return (h ^ 0xff) * UINT64_C(1099511628211);
}

enum {
    Q_RELATIONS,
    Q_COLUMNS,
    Q_CONSTRAINTS,
    Q_INDEXES,
    Q_TRIGGERS,
    Q_POLICIES,
    Q_USES,
    Q_REACHES,
    Q_ENUMS,
    Q_FUNCTIONS,
    Q_OTHERS,
    Q_COUNT
};

/* The first columns are for us and may hold oids; from the one named in first_printed on they become part of the
 * relation's print. */
static const int first_printed[Q_COUNT] = {
    [Q_RELATIONS] = 5, [Q_COLUMNS] = 7,  [Q_CONSTRAINTS] = 5,
    [Q_INDEXES] = 3,   [Q_TRIGGERS] = 1, [Q_POLICIES] = 4,
};

static const char *const queries[Q_COUNT] = {
    [Q_RELATIONS] = sql_select_catalogue_relations,
    [Q_COLUMNS] = sql_select_catalogue_columns,
    [Q_CONSTRAINTS] = sql_select_catalogue_constraints,
    [Q_INDEXES] = sql_select_catalogue_indexes,
    [Q_TRIGGERS] = sql_select_catalogue_triggers,
    [Q_POLICIES] = sql_select_catalogue_policies,
    [Q_USES] = sql_select_catalogue_view_uses,
    [Q_REACHES] = sql_select_catalogue_reaches,
    [Q_ENUMS] = sql_select_catalogue_enums,
    [Q_FUNCTIONS] = sql_select_catalogue_functions,
    [Q_OTHERS] = sql_select_catalogue_others,
};

static const char *const names[Q_COUNT] = {
    "phasegate_0", "phasegate_1", "phasegate_2", "phasegate_3", "phasegate_4", "phasegate_5",
    "phasegate_6", "phasegate_7", "phasegate_8", "phasegate_9", "phasegate_10"};

struct reader {
    struct arena *a;
    struct catalogue *c;
    const struct wire_result *r; /* [Q_COUNT] */
    int at[Q_COUNT];             /* the next row of each */
};

static unsigned number(const char *s) { return s ? (unsigned) strtoul(s, NULL, 10) : 0; }
static bool is_true(const char *s) { return s && *s == 't'; }

/* Places of owner and privileges in the queries above, and of the numbers of an index's columns, which are others once a
 * column was taken away and made again; its definition names them. Triggers and policies are parts of their own: see
 * parts.c. */
static bool is_of_server(int q, int column)
{
    return q == Q_TRIGGERS || q == Q_POLICIES ||
           (q == Q_RELATIONS && (column == 7 || column == 11)) ||
           (q == Q_COLUMNS && column == 16) || (q == Q_INDEXES && column == 7);
}

void cat_add_undated(struct str *to, const char *text)
{
    static const char mark[] = "_drop_", digits[] = "0123456789";
    const size_t n_mark = sizeof mark - 1, n_day = 8;

    while (*text) {
        bool is_dated = strncmp(text, mark, n_mark) == 0 &&
                        strspn(text + n_mark, digits) == n_day && text[n_mark + n_day] == '_';
        str_addn(to, text, is_dated ? n_mark : 1);
        text += is_dated ? n_mark + n_day : 1;
    }
}

static uint64_t print_text_undated(uint64_t h, const char *text)
{
    AUTO(str) undated = {0};

    if (!text || !strstr(text, "_drop_"))
        return print_text(h, text);
    cat_add_undated(&undated, text);
    return print_text(h, str_text(&undated));
}

static void print_cell(struct cat_relation *rel, int q, int column, const char *text)
{
    rel->fingerprint = print_text(rel->fingerprint, text);
    if (!is_of_server(q, column))
        rel->shape = print_text_undated(rel->shape, text);
}

/* The bound of a partition is printed with the relation already. */
static bool is_bound(const struct wire_result *r, int q, int row)
{
    return q == Q_CONSTRAINTS && r->cell[row][6][0] == 'b';
}

/* The rows of this relation, from rd->at[q] on; how many. They become part of its print. */
static int rows_of(struct reader *rd, int q, struct cat_relation *rel)
{
    const struct wire_result *r = &rd->r[q];
    int n = 0;

    while (rd->at[q] < r->n_rows && number(r->cell[rd->at[q]][0]) < rel->oid)
        rd->at[q]++;
    for (; rd->at[q] + n < r->n_rows && number(r->cell[rd->at[q] + n][0]) == rel->oid; n++)
        for (int k = first_printed[q]; k && k < r->n_columns && !is_bound(r, q, rd->at[q] + n); k++)
            print_cell(rel, q, k, r->cell[rd->at[q] + n][k]);
    return n;
}

static const char **row_at(const struct reader *rd, int q, int i)
{
    return rd->r[q].cell[rd->at[q] + i];
}

static void numbers(const char *text, int *out, int *n)
{
    char *end = NULL;

    *n = 0;
    for (const char *s = text; s && *s && *n < CAT_KEYS; s = end) {
        long v = strtol(s, &end, 10);
        if (end == s)
            return;
        out[(*n)++] = (int) v;
    }
}

static void read_columns(struct reader *rd, struct cat_relation *rel)
{
    int n = rows_of(rd, Q_COLUMNS, rel);

    rel->columns = arena_array(rd->a, struct cat_column, n + 1);
    for (int i = 0; i < n; i++) {
        const char **c = row_at(rd, Q_COLUMNS, i);
        rel->columns[rel->n_columns++] = (struct cat_column) {
            .type = number(c[1]),
            .base = number(c[2]),
            .typmod = c[3] ? (int) strtol(c[3], NULL, 10) : -1,
            .element = number(c[4]),
            .number = (int) number(c[5]),
            .fallback_tree = c[6],
            .name = c[7],
            .type_text = c[8],
            .fallback = c[9],
            .kind = c[10][0],
            .category = c[11][0],
            .collation = c[12],
            .not_null = is_true(c[13]),
            .is_generated = c[14] && c[14][0],
            .is_identity = c[15] && c[15][0],
            .is_identity_always = c[15] && c[15][0] == 'a',
            .domain_checks = c[17],
        };
    }
}

static void read_constraints(struct reader *rd, struct cat_relation *rel)
{
    int n = rows_of(rd, Q_CONSTRAINTS, rel), ignored;

    rel->constraints = arena_array(rd->a, struct cat_constraint, n + 1);
    for (int i = 0; i < n; i++) {
        const char **c = row_at(rd, Q_CONSTRAINTS, i);
        bool is_last = is_bound(&rd->r[Q_CONSTRAINTS], Q_CONSTRAINTS, rd->at[Q_CONSTRAINTS] + i);
        struct cat_constraint *k = &rel->constraints[is_last ? n - 1 : rel->n_constraints++];

        rel->n_checks += is_last;
        k->other = number(c[1]);
        numbers(c[2], k->columns, &k->n_columns);
        numbers(c[3], k->other_columns, &ignored);
        k->is_inherited = is_true(c[4]);
        k->name = c[5];
        k->type = is_last ? 'c' : c[6][0];
        k->definition = c[7];
        k->validated = is_true(c[8]);
    }
    rel->n_checks += rel->n_constraints;
}

static void read_indexes(struct reader *rd, struct cat_relation *rel)
{
    int n = rows_of(rd, Q_INDEXES, rel);

    rel->indexes = arena_array(rd->a, struct cat_index, n + 1);
    for (int i = 0; i < n; i++) {
        const char **c = row_at(rd, Q_INDEXES, i);
        rel->indexes[rel->n_indexes++] = (struct cat_index) {
            .oid = number(c[1]),
            .filenode = number(c[2]),
            .name = c[3],
            .definition = c[4],
            .is_unique = is_true(c[5]),
            .is_valid = is_true(c[6]),
            .columns = c[7],
            .is_partial = is_true(c[8]),
        };
    }
}

static void read_triggers(struct reader *rd, struct cat_relation *rel)
{
    int n = rows_of(rd, Q_TRIGGERS, rel);

    rel->triggers = arena_array(rd->a, struct cat_named, n + 1);
    for (int i = 0; i < n; i++) {
        const char **c = row_at(rd, Q_TRIGGERS, i);
        rel->triggers[rel->n_triggers++] =
            (struct cat_named) {.name = c[1], .definition = c[2], .enabled = c[3][0], .body = c[4]};
    }
}

static void read_policies(struct reader *rd, struct cat_relation *rel)
{
    int n = rows_of(rd, Q_POLICIES, rel);

    rel->policies = arena_array(rd->a, struct cat_named, n + 1);
    for (int i = 0; i < n; i++) {
        const char **c = row_at(rd, Q_POLICIES, i);
        rel->policies[rel->n_policies++] = (struct cat_named) {
            .name = c[4], .definition = c[5], .roles = c[1], .shows = c[2], .takes = c[3]};
    }
}

static void read_uses(struct reader *rd, struct cat_relation *rel)
{
    int n = rows_of(rd, Q_USES, rel);

    rel->uses = arena_array(rd->a, unsigned, n + 1);
    for (int i = 0; i < n; i++)
        rel->uses[rel->n_uses++] = number(row_at(rd, Q_USES, i)[1]);
}

static void read_reaches(struct reader *rd, struct cat_relation *rel)
{
    int n = rows_of(rd, Q_REACHES, rel);

    rel->reaches = arena_array(rd->a, unsigned, n + 1);
    for (int i = 0; i < n; i++) {
        unsigned other = number(row_at(rd, Q_REACHES, i)[1]);

        rel->calls |= other == 0;
        if (other != 0)
            rel->reaches[rel->n_reaches++] = other;
    }
}

/* "bigint,1,10,...": the third is the increment; see the query. */
static const char *increment_of(const char *sequence)
{
    for (int i = 0; sequence && i < 2; i++)
        sequence = strchr(sequence, ',') ? strchr(sequence, ',') + 1 : NULL;
    return sequence;
}

static void read_relation(struct reader *rd, int row)
{
    const char **c = rd->r[Q_RELATIONS].cell[row];
    struct cat_relation *rel = &rd->c->relations[rd->c->n_relations++];

    *rel = (struct cat_relation) {
        .oid = number(c[0]),
        .filenode = number(c[1]),
        .schema = c[5],
        .name = c[6],
        .owner = c[7],
        .kind = c[8][0],
        .is_populated = is_true(c[2]),
        .is_of_extension = is_true(c[3]),
        .is_invoker = is_true(c[4]),
        .has_rls = is_true(c[9]),
        .increment = increment_of(c[19]) ? strtoll(increment_of(c[19]), NULL, 10) : 0,
        .fingerprint = PRINT_START,
        .shape = PRINT_START};
    for (int k = first_printed[Q_RELATIONS]; k < rd->r[Q_RELATIONS].n_columns; k++)
        print_cell(rel, Q_RELATIONS, k, c[k]);
    read_columns(rd, rel);
    read_constraints(rd, rel);
    read_indexes(rd, rel);
    read_triggers(rd, rel);
    read_policies(rd, rel);
    read_uses(rd, rel);
    read_reaches(rd, rel);
}

static void read_enums(struct reader *rd)
{
    const struct wire_result *r = &rd->r[Q_ENUMS];
    struct catalogue *c = rd->c;

    c->enums = arena_array(rd->a, struct cat_enum, r->n_rows + 1);
    for (int i = 0; i < r->n_rows; i++) {
        struct cat_enum *e = c->n_enums ? &c->enums[c->n_enums - 1] : NULL;
        if (!e || e->type != number(r->cell[i][0])) {
            e = &c->enums[c->n_enums++];
            *e = (struct cat_enum) {.type = number(r->cell[i][0]),
                                    .schema = r->cell[i][1],
                                    .name = r->cell[i][2],
                                    .is_of_extension = is_true(r->cell[i][4])};
        }
        e->labels = arena_grow(rd->a, e->labels, sizeof *e->labels * (size_t) e->n_labels,
                               sizeof *e->labels * (size_t) (e->n_labels + 1));
        e->labels[e->n_labels++] = r->cell[i][3];
    }
}

static void read_functions(struct reader *rd)
{
    const struct wire_result *r = &rd->r[Q_FUNCTIONS];
    struct catalogue *c = rd->c;

    c->functions = arena_array(rd->a, struct cat_function, r->n_rows + 1);
    for (int i = 0; i < r->n_rows; i++)
        c->functions[c->n_functions++] = (struct cat_function) {
            r->cell[i][0], r->cell[i][1],
            print_text(print_text(PRINT_START, r->cell[i][0]), r->cell[i][2])};
}

static int compare_names(const void *x, const void *y)
{
    const struct cat_relation *const *a = x, *const *b = y;

    return strcmp((*a)->name, (*b)->name);
}

/* Where this name's first is noted, or would be. */
static int *head_of(const struct catalogue *c, const char *name)
{
    unsigned mask = (unsigned) c->n_heads - 1, at = (unsigned) print_text(PRINT_START, name) & mask;

    while (c->heads[at] && strcmp(c->by_name[c->heads[at] - 1]->name, name) != 0)
        at = (at + 1) & mask;
    return &c->heads[at];
}

static void sort_names(struct arena *a, struct catalogue *c)
{
    c->by_name = arena_array(a, const struct cat_relation *, c->n_relations + 1);
    for (int i = 0; i < c->n_relations; i++)
        c->by_name[i] = &c->relations[i];
    if (c->n_relations > 0)
        qsort(c->by_name, (size_t) c->n_relations, sizeof(const struct cat_relation *),
              compare_names);
    for (c->n_heads = 16; c->n_heads < 2 * c->n_relations;)
        c->n_heads *= 2;
    c->heads = arena_array(a, int, c->n_heads);
    for (int i = c->n_relations; i > 0; i--)
        *head_of(c, c->by_name[i - 1]->name) = i;
}

static void assemble(struct arena *a, const struct wire_result *results, struct catalogue *out)
{
    struct reader rd = {.a = a, .c = out, .r = results};

    memset(out, 0, sizeof *out);
    out->relations = arena_array(a, struct cat_relation, results[Q_RELATIONS].n_rows + 1);
    for (int i = 0; i < results[Q_RELATIONS].n_rows; i++)
        read_relation(&rd, i);
    sort_names(a, out);
    out->sums = arena_new(a, struct cat_sums);
    read_enums(&rd);
    read_functions(&rd);
    out->others = print_text(PRINT_START, results[Q_OTHERS].cell[0][0]);
    out->passers = results[Q_OTHERS].cell[0][1];
    /* First of all, where there is such a row. */
    out->calls = results[Q_REACHES].n_rows > 0 && number(results[Q_REACHES].cell[0][0]) == 0;
}

bool catalogue_prepare(struct wire *w, struct err *err)
{
    AUTO(arena) a = {0};
    struct wire_op ops[Q_COUNT] = {0};
    struct wire_result results[Q_COUNT] = {0};

    for (int i = 0; i < Q_COUNT; i++)
        ops[i] = (struct wire_op) {
            .kind = WIRE_PREPARE, .name = names[i], .sql = queries[i], .sync = true};
    return wire_run(w, &a, ops, Q_COUNT, results, err);
}

static bool read_by(struct wire *w, enum wire_kind kind, struct arena *a, struct catalogue *out,
                    struct err *err)
{
    struct wire_op ops[Q_COUNT] = {0};
    struct wire_result results[Q_COUNT] = {0};

    for (int i = 0; i < Q_COUNT; i++)
        ops[i] = (struct wire_op) {.kind = kind,
                                   .name = kind == WIRE_RUN_PREPARED ? names[i] : NULL,
                                   .sql = kind == WIRE_RUN ? queries[i] : NULL,
                                   .keep_rows = true,
                                   .sync = i == Q_COUNT - 1};
    if (!wire_run(w, a, ops, Q_COUNT, results, err))
        return false;
    for (int i = 0; i < Q_COUNT; i++)
        if (!results[i].ok)
            return err_set(err, ERR_BUG, "the shadow's catalogue can't be read: %s",
                           results[i].message ? results[i].message : "no answer");
    assemble(a, results, out);
    return true;
}

bool catalogue_read(struct wire *w, struct arena *a, struct catalogue *out, struct err *err)
{
    return read_by(w, WIRE_RUN_PREPARED, a, out, err);
}

bool catalogue_read_once(struct wire *w, struct arena *a, struct catalogue *out, struct err *err)
{
    return read_by(w, WIRE_RUN, a, out, err);
}

bool catalogue_read_live(struct db *db, struct arena *a, struct catalogue *out, struct err *err)
{
    struct wire_result results[Q_COUNT] = {0};

    for (int i = 0; i < Q_COUNT; i++) {
        struct db_rows rows = {0};
        if (!db_query(db, a, queries[i], &DB_NO_PARAMS, &rows, err))
            return err_note(err, "catalogue of %s", db->shown);
        results[i] = (struct wire_result) {
            .ok = true, .n_rows = rows.n_rows, .n_columns = rows.n_cols, .cell = rows.cell};
    }
    assemble(a, results, out);
    return true;
}

uint64_t cat_print(const struct catalogue *c)
{
    uint64_t h = cat_shape(c);

    for (int i = 0; i < c->n_relations; i++)
        if (!cat_is_phasegates(c->relations[i].schema))
            h += c->relations[i].fingerprint * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < c->n_functions; i++)
        if (!cat_is_phasegates(c->functions[i].schema))
            h += print_text(c->functions[i].fingerprint, c->functions[i].name);
    return h;
}

uint64_t cat_shape(const struct catalogue *c)
{
    uint64_t h = PRINT_START;

    /* Summed up: oids, and with them the order, differ from server to server. */
    for (int i = 0; i < c->n_relations; i++)
        if (!cat_is_phasegates(c->relations[i].schema))
            h += c->relations[i].shape * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < c->n_enums; i++)
        for (int k = 0; k < c->enums[i].n_labels; k++)
            h += print_text(print_text(PRINT_START + (uint64_t) k, c->enums[i].name),
                            c->enums[i].labels[k]);
    return h;
}

/* ---- looking things up ------------------------------------------------------------------------------- */

const struct cat_relation *cat_by_oid(const struct catalogue *c, unsigned oid)
{
    int lo = 0, hi = c->n_relations;

    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (c->relations[mid].oid < oid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n_relations && c->relations[lo].oid == oid ? &c->relations[lo] : NULL;
}

static const struct cat_relation *find_in(const struct catalogue *c, const char *schema, size_t n,
                                          const char *name)
{
    int head = c->heads ? *head_of(c, name) : 0; /* before the first look there are none */

    for (int i = head - 1; head && i < c->n_relations && strcmp(c->by_name[i]->name, name) == 0;
         i++)
        if (strlen(c->by_name[i]->schema) == n && memcmp(c->by_name[i]->schema, schema, n) == 0)
            return c->by_name[i];
    return NULL;
}

const struct cat_relation *cat_find(const struct catalogue *c, const char *path, const char *schema,
                                    const char *name)
{
    if (schema)
        return find_in(c, schema, strlen(schema), name);
    for (const char *s = path ? path : "public"; *s;) {
        const struct cat_relation *found;
        size_t n = strcspn(s, ","), skip = strspn(s, " \t\"'"), end = n;

        while (end > skip && strchr(" \t\"'", s[end - 1]))
            end--;
        if (end > skip && (found = find_in(c, s + skip, end - skip, name)))
            return found;
        s += n + (s[n] == ',');
    }
    return NULL;
}

const struct cat_column *cat_column(const struct cat_relation *r, const char *name)
{
    for (int i = 0; i < r->n_columns; i++)
        if (strcmp(r->columns[i].name, name) == 0)
            return &r->columns[i];
    return NULL;
}

const struct cat_column *cat_column_number(const struct cat_relation *r, int n)
{
    for (int i = 0; i < r->n_columns; i++)
        if (r->columns[i].number == n)
            return &r->columns[i];
    return NULL;
}

const struct cat_enum *cat_enum_of(const struct catalogue *c, unsigned type)
{
    for (int i = 0; i < c->n_enums; i++)
        if (c->enums[i].type == type)
            return &c->enums[i];
    return NULL;
}

bool index_has_column(const struct cat_index *index, int number)
{
    char *end = NULL;

    for (const char *s = index->columns; *s; s = end) {
        long v = strtol(s, &end, 10);
        if (end == s)
            return false;
        if (v == number)
            return true;
    }
    return false;
}

uint64_t cat_function_print(const struct catalogue *c, const char *name)
{
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    uint64_t h = 0;

    for (int i = 0; i < c->n_functions; i++)
        if (strcmp(c->functions[i].name, last) == 0)
            h = h * 31 + c->functions[i].fingerprint;
    return h;
}

void cat_add_update(struct str *to, const struct cat_relation *r, const char *column)
{
    str_add(to, "UPDATE ");
    sql_qualified(to, r->schema, r->name);
    str_add(to, " SET ");
    sql_ident(to, column);
    str_add(to, " = ");
}

void cat_add_set(struct str *to, const struct cat_relation *r, const char *column)
{
    if (to->len == 0) {
        cat_add_update(to, r, column);
        return;
    }
    str_add(to, ", ");
    sql_ident(to, column);
    str_add(to, " = ");
}

const struct cat_constraint *cat_key_to(const struct cat_relation *r, const struct cat_column *c,
                                        const struct cat_relation *other,
                                        const struct cat_column *to)
{
    const struct cat_constraint *found = NULL;

    for (int i = 0; i < r->n_constraints; i++) {
        const struct cat_constraint *k = &r->constraints[i];

        for (int n = 0; k->type == 'f' && k->other == other->oid && n < k->n_columns; n++)
            if (k->columns[n] == c->number && k->other_columns[n] == to->number &&
                (!found || k->n_columns == 1))
                found = k;
    }
    return found;
}

bool cat_is_in_key(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; k < r->constraints[i].n_columns; k++)
            if (strchr("pufx", r->constraints[i].type) && r->constraints[i].columns[k] == c->number)
                return true;
    return false;
}
