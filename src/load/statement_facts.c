/* From a statement's text to its facts. */
#include "load/parse_deep.h"
#include "load/sql_scan.h"
#include "load/statement_work.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- what is found ---------------------------------------------------------------------------- */

void note_text(struct arena *a, struct text_list *l, const char *s)
{
    l->items = arena_more(a, l->items, sizeof *l->items, l->n);
    l->items[l->n++] = (struct text) {.s = arena_strdup(a, s)};
}

void note_text_once(struct arena *a, struct text_list *l, const char *s)
{
    for (int i = 0; s && i < l->n; i++)
        if (strcmp(l->items[i].s, s) == 0)
            return;
    if (s)
        note_text(a, l, s);
}

int note_rel(struct walk *w, struct sql_rel rel)
{
    struct statement_facts *f = w->out;

    if (!rel.name)
        return -1;
    for (int i = 0; i < f->n_rels; i++)
        if (same_text(f->rels[i].schema, rel.schema) && same_text(f->rels[i].name, rel.name))
            return i;
    f->rels = arena_more(w->a, f->rels, sizeof *f->rels, f->n_rels);
    f->rels[f->n_rels] = (struct fact_rel) {.schema = arena_strdup(w->a, rel.schema),
                                            .name = arena_strdup(w->a, rel.name),
                                            .verb = VERB_SELECT};
    return f->n_rels++;
}

int note_target(struct walk *w, struct sql_rel rel, enum statement_verb verb)
{
    int i = note_rel(w, rel);

    if (i >= 0 && !w->out->rels[i].is_target) {
        w->out->rels[i].is_target = true;
        w->out->rels[i].verb = verb;
    }
    return i;
}

struct fact_write *note_write(struct walk *w, struct sql_rel rel, enum statement_verb verb)
{
    struct statement_facts *f = w->out;

    f->writes = arena_more(w->a, f->writes, sizeof *f->writes, f->n_writes);
    f->writes[f->n_writes] = (struct fact_write) {.schema = arena_strdup(w->a, rel.schema),
                                                  .table = arena_strdup(w->a, rel.name),
                                                  .verb = verb};
    return &f->writes[f->n_writes++];
}

/* ---- utilities ----------------------------------------------------------------------------------- */

static void utility_rels(struct walk *w, const json_t *list, enum statement_verb target, bool lock)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item)
    {
        int at = target == VERB_OTHER ? note_rel(w, tree_rel(item))
                                      : note_target(w, tree_rel(item), target);

        if (target != VERB_OTHER)
            note_write(w, tree_rel(item), target);
        if (at >= 0 && lock)
            w->out->rels[at].is_locked = true;
    }
}

size_t statement_word(const char *sql, size_t *n)
{
    struct sql_scanner s = {.text = sql};
    enum sql_token token;
    size_t from, to;

    while ((token = sql_scan(&s, &from, &to)) == SQL_TOKEN_COMMENT)
        continue;
    *n = token == SQL_TOKEN_NAME && sql[from] != '"' ? to - from : 0;
    return from;
}

static bool is_word(const char *sql, size_t from, size_t to, const char *word)
{
    return to - from == strlen(word) && strncasecmp(sql + from, word, to - from) == 0;
}

/* Up to RETURNING, or to where the INSERT ends. */
const char *statement_without_conflicts(struct arena *a, const char *sql)
{
    struct sql_scanner s = {.text = sql};
    AUTO(str) out = {0};
    size_t from, to, kept = 0, on = 0;
    bool is_on = false;
    enum sql_token token;

    for (int depth = 0, cut = -1; (token = sql_scan(&s, &from, &to)) != SQL_TOKEN_END;) {
        bool is_name = token == SQL_TOKEN_NAME;

        if (cut < 0 && is_on && is_name && is_word(sql, from, to, "conflict")) {
            str_addf(&out, "%.*s", (int) (on - kept), sql + kept);
            cut = depth;
            kept = strlen(sql);
        }
        is_on = is_name && is_word(sql, from, to, "on");
        on = is_on ? from : on;
        if (token == SQL_TOKEN_OTHER)
            depth += (sql[from] == '(') - (sql[from] == ')');
        if (cut >= 0 &&
            (depth < cut || (depth == cut && is_name && is_word(sql, from, to, "returning")))) {
            kept = from;
            cut = -1;
        }
    }
    str_add(&out, sql + kept);
    return arena_strdup(a, str_text(&out));
}

/* What stands in the parentheses behind COPY. */
static const char *copy_query(struct walk *w)
{
    struct sql_scanner s = {.text = w->sql};
    size_t from, to, begin = 0;
    enum sql_token token;

    for (int depth = 0; (token = sql_scan(&s, &from, &to)) != SQL_TOKEN_END;) {
        if (token != SQL_TOKEN_OTHER)
            continue;
        if (w->sql[from] == '(' && depth++ == 0)
            begin = to;
        else if (w->sql[from] == ')' && --depth == 0)
            return arena_strndup(w->a, w->sql + begin, from - begin);
    }
    return NULL;
}

/* What follows the first such word that stands in no parenthesis; NULL: there is none. */
static const char *behind(struct walk *w, const char *word)
{
    struct sql_scanner s = {.text = w->sql};
    size_t from, to, end = strlen(w->sql);
    enum sql_token token;

    while (end > 0 && (isspace((unsigned char) w->sql[end - 1]) || w->sql[end - 1] == ';'))
        end--;
    for (int depth = 0; (token = sql_scan(&s, &from, &to)) != SQL_TOKEN_END;) {
        if (token == SQL_TOKEN_OTHER)
            depth += (w->sql[from] == '(') - (w->sql[from] == ')');
        else if (token == SQL_TOKEN_NAME && depth == 0 && to - from == strlen(word) && to < end &&
                 strncasecmp(w->sql + from, word, to - from) == 0)
            return arena_strndup(w->a, w->sql + to, end - to);
    }
    return NULL;
}

static void note_options(struct walk *w, struct fact_copy *copy, const json_t *options)
{
    const json_t *option, *column;
    size_t i, k;

    json_array_foreach((json_t *) options, i, option)
    {
        json_array_foreach(tree_list(tree_as(option, "DefElem"), "arg"), k, column)
        {
            note_text(w->a, &copy->also, tree_string(column));
            note_text_once(w->a, &w->out->columns, tree_string(column));
        }
    }
}

static void note_copy(struct walk *w, const json_t *f)
{
    struct sql_rel rel = tree_rel(tree_get(f, "relation"));
    struct fact_copy *copy = arena_new(w->a, struct fact_copy);
    const json_t *item;
    size_t i;

    copy->is_from = tree_flag(f, "is_from");
    copy->end = tree_flag(f, "is_program") ? COPY_PROGRAM
                : tree_text(f, "filename") ? COPY_FILE
                                           : COPY_CLIENT;
    copy->schema = arena_strdup(w->a, rel.schema);
    copy->table = arena_strdup(w->a, rel.name);
    copy->query = rel.name ? NULL : copy_query(w);
    json_array_foreach(tree_list(f, "attlist"), i, item)
        note_text(w->a, &copy->columns, tree_string(item));
    note_options(w, copy, tree_list(f, "options"));
    copy->where = tree_get(f, "whereClause") ? behind(w, "where") : NULL;
    w->out->copy = rel.name || copy->query ? copy : NULL;
}

static void utility_copy(struct walk *w, const json_t *f)
{
    struct sql_rel rel = tree_rel(tree_get(f, "relation"));
    const json_t *columns = tree_list(f, "attlist"), *item;
    size_t i;

    note_copy(w, f);
    if (rel.name && tree_flag(f, "is_from")) {
        note_target(w, rel, VERB_INSERT);
        struct fact_write *to = note_write(w, rel, VERB_INSERT);
        to->positional = !columns;
        json_array_foreach((json_t *) columns, i, item)
            note_written(w, to, tree_string(item), NULL);
    } else if (rel.name) {
        int at = note_rel(w, rel);
        w->out->rels[at].star = !columns;
        json_array_foreach((json_t *) columns, i, item)
            note_text_once(w->a, &w->out->columns, tree_string(item));
    }
}

void walk_utility(struct walk *w, const char *kind, const json_t *fields)
{
    struct scope *s = scope_new(w, NULL);

    w->out->is_utility = true;
    w->writes = true;
    if (strcmp(kind, "CopyStmt") == 0)
        utility_copy(w, fields);
    walk_expr(w, s, tree_get(fields, "whereClause"));
    if (strcmp(kind, "PrepareStmt") == 0)
        w->out->prepares = behind(w, "as");
    if (strcmp(kind, "TruncateStmt") == 0)
        utility_rels(w, tree_list(fields, "relations"), VERB_DELETE, false);
    else if (strcmp(kind, "LockStmt") == 0)
        utility_rels(w, tree_list(fields, "relations"), VERB_OTHER, true);
    else if (strcmp(kind, "RefreshMatViewStmt") == 0)
        note_rel(w, tree_rel(tree_get(fields, "relation")));
    else if (strcmp(kind, "CallStmt") == 0) {
        json_t *call = json_pack("{s:O}", "FuncCall", tree_get(fields, "funccall"));
        walk_expr(w, s, call);
        json_decref(call);
    }
    /* EXPLAIN, DECLARE, PREPARE, CREATE TABLE AS, COPY (query) */
    struct scope *query = walk_query(w, s, tree_get(fields, "query"));
    if (query)
        query->taken |= TAKEN_STAR;
}

/* ---- the statement -------------------------------------------------------------------------------- */

static enum statement_verb verb_of(const char *kind)
{
    static const char *const kinds[] = {"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt",
                                        "MergeStmt"};

    for (int v = VERB_SELECT; v <= VERB_MERGE; v++)
        if (strcmp(kind, kinds[v]) == 0)
            return (enum statement_verb) v;
    return VERB_OTHER;
}

static bool gives_star(const json_t *f)
{
    const json_t *outputs = tree_list(f, "targetList"), *item;
    size_t i;

    if (tree_get(f, "larg"))
        return gives_star(tree_as(tree_get(f, "larg"), "SelectStmt")) ||
               gives_star(tree_as(tree_get(f, "rarg"), "SelectStmt"));
    if (tree_get(f, "relation")) /* only RETURNING gives anything */
        outputs = tree_list(f, "returningList");
    json_array_foreach((json_t *) outputs, i, item)
    {
        const json_t *value = tree_get(tree_as(item, "ResTarget"), "val");
        const json_t *ref = tree_list(tree_get(value, "ColumnRef"), "fields");

        if (!ref)
            ref = tree_list(tree_get(value, "A_Indirection"), "indirection");
        if (tree_get(json_array_get(ref, json_array_size(ref) - 1), "A_Star"))
            return true;
    }
    return false;
}

static bool has_locks(const struct statement_facts *f)
{
    for (int i = 0; i < f->n_rels; i++)
        if (f->rels[i].is_target || f->rels[i].is_locked)
            return true;
    return false;
}

static void read_statement(struct walk *w, const json_t *node, bool is_first)
{
    struct statement_facts *f = w->out;
    const char *kind = tree_kind(node);
    const json_t *fields = tree_fields(node);
    struct scope *query = walk_query(w, NULL, node);

    if (query)
        query->taken |= TAKEN_STAR;
    else if (kind)
        walk_utility(w, kind, fields);
    if (tree_get(fields, "intoClause")) /* SELECT ... INTO makes a table */
        f->is_utility = w->writes = true;
    if (!is_first || !kind)
        return;
    f->verb = verb_of(kind);
    f->selects_star = query && gives_star(fields);
    f->has_order_by = query && tree_list(fields, "sortClause") != NULL;
}

static void read_tree(struct arena *a, const char *sql, const char *text,
                      struct statement_facts *out)
{
    struct walk w = {.a = a, .out = out, .sql = sql};
    json_error_t error;
    json_t *tree = json_loads(text, 0, &error);
    const json_t *list = tree_get(tree, "stmts"), *item;
    size_t i;

    if (!json_is_array(list)) { /* the reader's limit of depth */
        out->why = "it is nested too deeply";
    } else if (json_array_size(list) == 0) {
        out->why = "there is no statement";
    } else {
        out->parsed = true;
        out->is_one_statement = json_array_size(list) == 1;
        json_array_foreach((json_t *) list, i, item)
            read_statement(&w, tree_get(item, "stmt"), i == 0);
        scopes_settle(&w);
        out->reads_only = !w.writes && out->n_writes == 0 && !has_locks(out);
    }
    json_decref(tree);
}

void statement_facts(struct arena *a, const struct statement *s, struct statement_facts *out)
{
    PgQueryParseResult result = parse_deep(s->dollar_sql);

    *out = (struct statement_facts) {.verb = VERB_OTHER};
    if (result.error) {
        out->why = parse_complaint(a, result.error->message);
        out->why_at = result.error->cursorpos > 0 ? result.error->cursorpos : 0;
    } else {
        read_tree(a, s->dollar_sql, result.parse_tree, out);
    }
    pg_query_free_parse_result(result);
}
