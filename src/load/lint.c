/* The lints of single statements, as a table: kind of statement, and the function that looks at it. */
#include "load/lint_int.h"

#include "load/sql_scan.h"

#include <string.h>

/* ---- saying ----------------------------------------------------------------------------------------------- */

static struct finding *say(struct lint *l, const char *rule, const char *help, const char *message)
{
    struct finding *f = report_add(l->r, rule, l->at, "%s", message);

    f->plan = arena_strdup(&l->r->arena, l->plan);
    f->phase = l->phase;
    f->step = arena_strdup(&l->r->arena, l->step);
    f->help = arena_strdup(&l->r->arena, help);
    return f;
}

#define MESSAGE(out)                                                                               \
    do {                                                                                           \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        (out) = arena_vprintf(l->a, fmt, ap);                                                      \
        va_end(ap);                                                                                \
    } while (0)

void lint_say(struct lint *l, const char *rule, const char *help, const char *fmt, ...)
{
    const char *message;
    const struct finding *f;

    if (!l->r)
        return;
    MESSAGE(message);
    f = say(l, rule, help, message);
    l->has_error =
        l->has_error || (f->severity == SEVERITY_ERROR && f->rule->class <= RULE_REWRITE);
}

void lint_warn(struct lint *l, const char *rule, const char *help, const char *fmt, ...)
{
    const char *message;

    if (!l->r)
        return;
    MESSAGE(message);
    say(l, rule, help, message)->severity = SEVERITY_WARNING;
}

void lint_unsure(struct lint *l, const char *rule, const char *help, const char *fmt, ...)
{
    const char *message;

    if (!l->r)
        return;
    MESSAGE(message);
    message = arena_printf(l->a, "%s: to know, this needs the shadow", message);
    say(l, rule, help, message)->severity = SEVERITY_NOTE;
}

const char *lint_rel_text(const struct lint *l, struct sql_rel rel)
{
    if (!rel.name)
        return "the table";
    return rel.schema ? arena_printf(l->a, "%s.%s", rel.schema, rel.name)
                      : arena_strdup(l->a, rel.name);
}

bool lint_is_new(const struct lint *l, struct sql_rel rel)
{
    const struct known_rel *known = known_find(l->k, rel);

    return known && ((known->unit == l->unit && l->unit != 0) || known->is_temp);
}

/* ---- the table -------------------------------------------------------------------------------------------- */

/* Of an existing table: statements, and parts of ALTER TABLE, that concern nobody when the table is new. */
static const struct row {
    const char *node;
    void (*look)(struct lint *l);
    bool of_new_too;
} rows[] = {
    {"IndexStmt", lint_index},
    {"ReindexStmt", lint_reindex},
    {"RefreshMatViewStmt", lint_refresh},
    {"ClusterStmt", lint_cluster},
    {"VacuumStmt", lint_vacuum},
    {"AlterTableMoveAllStmt", lint_storage},
    {"UpdateStmt", lint_update},
    {"DeleteStmt", lint_delete},
    {"InsertStmt", lint_insert},
    {"AT_AddConstraint", lint_add_constraint},
    {"AT_SetNotNull", lint_set_not_null},
    {"AT_ValidateConstraint", lint_validate},
    {"AT_DetachPartition", lint_detach},
    {"AT_AddColumn", lint_add_column},
    {"AT_AlterColumnType", lint_alter_type},
    {"AT_SetLogged", lint_storage},
    {"AT_SetUnLogged", lint_storage},
    {"AT_SetTableSpace", lint_storage},
    {"AT_SetAccessMethod", lint_storage},
    {"AT_DropColumn", lint_drop_column},
    {"AT_AttachPartition", lint_attach},
    {"CreateStmt", lint_create_table, true},
    {"AT_AddColumn", lint_column_shape, true},
    {"AlterDomainStmt", lint_alter_domain, true},
    {"RenameStmt", lint_rename},
    {"DropStmt", lint_drop, true},
    {"TruncateStmt", lint_truncate, true},
    {"DropdbStmt", lint_drop_database, true},
    {"VariableSetStmt", lint_set_timeout, true},
    {"DoStmt", lint_opaque, true},
    {"CallStmt", lint_opaque, true},
    {"SelectStmt", lint_calls, true},
};

static void look_at(struct lint *l, const char *node, bool is_new)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].node, node) == 0 && (!is_new || rows[i].of_new_too))
            rows[i].look(l);
}

/* Views, sequences, indexes and foreign tables have no rows here to scan. */
static bool has_rows(const struct lint *l)
{
    const char *type = tree_text(l->tree, "objtype");
    bool is_table = !type || strcmp(type, "OBJECT_TABLE") == 0;

    if (type && strcmp(type, "OBJECT_MATVIEW") == 0)
        return true;
    return is_table && (!l->own || l->own->kind == KNOWN_TABLE || l->own->kind == KNOWN_MATVIEW);
}

static void look_at_alter(struct lint *l, bool is_new)
{
    json_t *cmds = tree_list(l->tree, "cmds"), *item;
    size_t i;

    l->n_cmds = tree_count(cmds);
    if (tree_is(l->tree, "objtype", "OBJECT_TYPE"))
        lint_alter_attribute(l);
    if (!has_rows(l))
        return;
    json_array_foreach(cmds, i, item)
    {
        const char *subtype;

        l->cmd = tree_as(item, "AlterTableCmd");
        l->def = tree_get(l->cmd, "def") ? tree_fields(tree_get(l->cmd, "def")) : NULL;
        l->name = tree_text(l->cmd, "name");
        subtype = tree_text(l->cmd, "subtype");
        look_at(l, subtype ? subtype : "AT_AddColumn", is_new);
    }
    l->cmd = l->def = NULL;
    l->name = NULL;
}

/* The main relation, and what sql_facts says of the statement. */
static void read_statement(struct lint *l, const struct sql_part *s)
{
    static const char *const keys[] = {"relation", "view", "sequence", "table", NULL};
    struct job job;

    l->node = tree_kind(s->node) ? tree_kind(s->node) : "";
    l->tree = tree_fields(s->node);
    l->at = s->at;
    l->has_error = false;
    l->rel = (struct sql_rel) {NULL, NULL};
    for (int i = 0; !l->rel.name && keys[i]; i++)
        if (tree_get(l->tree, keys[i]))
            l->rel = tree_rel(tree_get(l->tree, keys[i]));
    l->own = known_find(l->k, l->rel);
    if (!l->r)
        return;
    l->facts = (struct sql_stmt) {.sql = s->sql, .at = s->at};
    job = (struct job) {
        .a = l->a, .seen = &l->seen, .out = &l->facts, .node = l->node, .tree = l->tree};
    sql_classify(&job);
}

static void note_span(struct lint *l, const struct sql_part *s, size_t base)
{
    if (!l->r)
        return;
    if (l->n_spans == l->cap_spans) {
        int cap = l->cap_spans ? 2 * l->cap_spans : 8;

        l->spans = arena_grow(l->a, l->spans, sizeof *l->spans * (size_t) l->cap_spans,
                              sizeof *l->spans * (size_t) cap);
        l->cap_spans = cap;
    }
    l->spans[l->n_spans++] = (struct lint_span) {base + s->from, base + s->to, s->at};
}

/* base: where the text that was parsed starts in the whole. */
static void lint_statement(struct lint *l, const struct sql_part *s, size_t base)
{
    bool is_new;

    note_span(l, s, base);
    read_statement(l, s);
    is_new = l->rel.name && lint_is_new(l, l->rel);
    if (l->r)
        tx_before(l);
    if (strcmp(l->node, "AlterTableStmt") == 0) {
        known_take_columns(l);
        l->own = known_find(l->k, l->rel);
        if (l->r)
            look_at_alter(l, is_new);
    } else if (l->r) {
        look_at(l, l->node, is_new);
    }
    if (l->r && l->of)
        lint_flags(l);
    if (l->r)
        tx_after(l);
    known_take(l);
}

/* ---- texts -------------------------------------------------------------------------------------------------- */

/* What can't run in a transaction block at all. */
bool is_outside_transactions(const char *node, const json_t *tree)
{
    static const char *const always[] = {"CreatedbStmt",         "DropdbStmt",
                                         "CreateTableSpaceStmt", "DropTableSpaceStmt",
                                         "AlterSystemStmt",      NULL};
    static const char *const when_concurrent[] = {"IndexStmt", "DropStmt", "ReindexStmt", NULL};
    const char *kind = tree_text(tree, "kind");
    json_t *item;
    size_t i;

    if (!node || word_in(node, always))
        return node != NULL;
    if (word_in(node, when_concurrent) &&
        (tree_flag(tree, "concurrent") || tree_option(tree_get(tree, "params"), "concurrently")))
        return true;
    if (strcmp(node, "ReindexStmt") == 0)
        return kind && strcmp(kind, "REINDEX_OBJECT_INDEX") != 0 &&
               strcmp(kind, "REINDEX_OBJECT_TABLE") != 0;
    if (strcmp(node, "VacuumStmt") == 0)
        return tree_flag(tree, "is_vacuumcmd");
    if (strcmp(node, "ClusterStmt") == 0)
        return !tree_get(tree, "relation");
    json_array_foreach(tree_list(tree, "cmds"), i, item)
    {
        const json_t *cmd = tree_as(item, "AlterTableCmd");

        if (tree_is(cmd, "subtype", "AT_DetachPartition") &&
            tree_flag(tree_fields(tree_get(cmd, "def")), "concurrent"))
            return true;
    }
    return false;
}

static void open_transaction(struct lint *l, const struct lint_parse *parse, bool runs_alone)
{
    l->tx->is_open = !runs_alone;
    for (int p = 0; p < parse->n; p++)
        for (int i = 0; i < parse->pieces[p].parts.n; i++) {
            const struct sql_part *part = &parse->pieces[p].parts.items[i];
            const char *node = tree_kind(part->node);

            if (node && is_outside_transactions(node, tree_fields(part->node)))
                l->tx->is_open = false;
            if (node && strcmp(node, "TransactionStmt") == 0)
                l->tx->is_explicit = true;
        }
    if (l->tx->is_explicit)
        l->tx->is_open = false;
}

static void unparsed(struct lint *l, const struct lint_piece *piece)
{
    if (!l->r || !piece->wrong)
        return;
    l->at = piece->wrong_at;
    say(l, "statement-unparsed", "an older form of the statement; or the shadow's server decides",
        arena_printf(l->a, "%s: nothing is known about the statement", piece->wrong));
}

/* ---- parsing, in any thread --------------------------------------------------------------------------------- */

static bool parse_piece(struct arena *a, const struct sql_text *text, size_t base,
                        struct lint_piece *out)
{
    AUTO(problem_list) problems = {0};

    *out = (struct lint_piece) {.base = base};
    if (sql_split(a, text, "the SQL", &out->parts, &problems))
        return true;
    if (problems.n > 0) {
        out->wrong = arena_strdup(a, problems.items[0].message);
        out->wrong_at = problems.items[0].at;
        out->wrong_at.file = text->at.file;
    }
    return false;
}

/* One statement that doesn't parse leaves the others readable. */
static void parse_each(struct arena *a, const struct sql_text *text, struct lint_parse *out)
{
    struct sql_scanner scanner = {text->sql, 0};
    size_t from, to;
    int cap = 0;

    while (sql_scan_statement(&scanner, &from, &to)) {
        struct sql_text one = {arena_strndup(a, text->sql + from, to - from), sql_place(text, from),
                               text->is_indented};

        if (out->n == cap) {
            int more = cap ? 2 * cap : 8;

            out->pieces = arena_grow(a, out->pieces, sizeof *out->pieces * (size_t) cap,
                                     sizeof *out->pieces * (size_t) more);
            cap = more;
        }
        parse_piece(a, &one, from, &out->pieces[out->n++]);
    }
}

void lint_parse_text(struct arena *a, const struct sql_text *text, struct lint_parse *out)
{
    struct lint_piece whole;

    *out = (struct lint_parse) {.text = *text};
    if (!parse_piece(a, text, 0, &whole))
        parse_each(a, text, out);
    if (out->n > 0)
        return;
    out->pieces = arena_array(a, struct lint_piece, 1);
    out->pieces[out->n++] = whole;
}

void lint_parse_free(struct lint_parse *p)
{
    for (int i = 0; p && i < p->n; i++)
        sql_parts_auto(&p->pieces[i].parts);
}

bool lint_parse_is_sql(const struct lint_parse *p)
{
    bool any = p->n == 0;

    for (int i = 0; i < p->n; i++)
        any = any || !p->pieces[i].wrong;
    return any;
}

void lint_parsed(struct lint *l, const struct lint_parse *parse, bool runs_alone)
{
    struct lint_tx tx = {0};

    l->tx = &tx;
    l->seen.text = l->unit;
    open_transaction(l, parse, runs_alone);
    for (int p = 0; p < parse->n; p++) {
        const struct lint_piece *piece = &parse->pieces[p];

        unparsed(l, piece);
        for (int i = 0; i < piece->parts.n; i++)
            lint_statement(l, &piece->parts.items[i], piece->base);
    }
    l->tx = NULL;
}

void lint_text(struct lint *l, const struct sql_text *text, bool runs_alone)
{
    struct lint_parse parse;

    lint_parse_text(l->a, text, &parse);
    lint_parsed(l, &parse, runs_alone);
    lint_parse_free(&parse);
}
