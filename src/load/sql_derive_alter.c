/* ALTER TABLE: each sub-command has its condition and its reverse; several are taken back by one ALTER TABLE,
 * the last first. */
#include "load/sql_work.h"
#include "phasegate/names.h"

#include <string.h>

struct piece {
    struct job *job;
    struct sql_rel rel;
    const json_t *cmd, *def;
    const char *name;
    bool is_type;        /* ALTER TYPE of a composite type */
    const char *applied; /* out */
    const char *undo;    /* out: a sub-command */
    const char *whole;   /* out: a statement, where no sub-command does it */
    const char *asked;   /* out: an expression for a sub-command; with is_whole for a statement */
    bool is_whole;
    bool may_be_there; /* IF NOT EXISTS, IF EXISTS */
};

static const char *named(struct piece *p, const char *format, const char *name)
{
    struct arena *a = p->job->a;
    AUTO(str) s = {0};
    const char *gap = strchr(format, '?'); /* where the quoted name goes */

    str_addn(&s, format, (size_t) (gap - format));
    str_add(&s, quoted_ident(a, name));
    str_add(&s, gap + 1);
    return arena_strdup(a, str_text(&s));
}

static const char *column_where(struct piece *p, const char *more)
{
    return cond_column(p->job->a, p->rel, p->name, more);
}

static const char *table_is_there(struct piece *p)
{
    return arena_printf(p->job->a, "%s IS NOT NULL", sql_oid(p->job->a, p->rel));
}

/* ---- columns -------------------------------------------------------------------------------------- */

static void add_column(struct piece *p)
{
    const char *column = tree_text(p->def, "colname");
    struct sql_type type;

    if (!column || !tree_type(p->job->a, tree_get(p->def, "typeName"), &type))
        return;
    /* A column of that name and another type isn't this one: the statement shall fail and say so. */
    p->applied = cond_column(p->job->a, p->rel, column, cond_type_is(p->job->a, &type));
    p->undo = named(p, p->is_type ? "DROP ATTRIBUTE ?" : "DROP COLUMN ?", column);
    p->may_be_there = tree_flag(p->cmd, "missing_ok");
}

static void drop_column(struct piece *p)
{
    p->applied = cond_and(p->job->a, table_is_there(p), cond_not(p->job->a, column_where(p, "")));
    p->may_be_there = tree_flag(p->cmd, "missing_ok");
}

static void set_not_null(struct piece *p)
{
    p->applied = column_where(p, " AND a.attnotnull");
    p->undo = named(p, "ALTER COLUMN ? DROP NOT NULL", p->name);
}

static void drop_not_null(struct piece *p)
{
    p->applied = column_where(p, " AND NOT a.attnotnull");
    p->undo = named(p, "ALTER COLUMN ? SET NOT NULL", p->name);
}

/* As pg_get_expr writes it: quotes doubled, never E''. */
static const char *plain_literal(struct arena *a, const char *text)
{
    AUTO(str) s = {0};

    str_addc(&s, '\'');
    for (; *text; text++)
        str_addn(&s, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    str_addc(&s, '\'');
    return arena_strdup(a, str_text(&s));
}

/* How PostgreSQL prints a default of the simple kinds; NULL for the others. An answer "no" to a default
 * that is in place is harmless: setting it again changes nothing. */
static const char *printed_default(struct arena *a, const json_t *expr)
{
    static const struct {
        const char *op, *printed;
    } values[] = {{"SVFOP_CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"},
                  {"SVFOP_CURRENT_DATE", "CURRENT_DATE"},
                  {"SVFOP_CURRENT_USER", "CURRENT_USER"},
                  {"SVFOP_LOCALTIMESTAMP", "LOCALTIMESTAMP"}};
    const json_t *c = tree_get(expr, "A_Const"), *call = tree_get(expr, "FuncCall"),
                 *value = tree_get(expr, "SQLValueFunction");
    const char *text = c ? tree_string(expr) : NULL;
    const json_t *boolean = tree_get(c, "boolval");
    struct sql_rel f = tree_name(tree_get(call, "funcname"), 0);
    int64_t n;

    if (text) /* 'x'::text, 'x'::character varying */
        return arena_printf(a, "%s || '::' || pg_catalog.format_type(a.atttypid, NULL)",
                            quoted_literal(a, plain_literal(a, text)));
    if (c && tree_integer(expr, &n))
        return arena_printf(a, "'%lld', '''%lld''::' || pg_catalog.format_type(a.atttypid, NULL)",
                            (long long) n, (long long) n);
    if (boolean)
        return json_is_true(boolean) || tree_flag(boolean, "boolval") ? "'true'" : "'false'";
    if (call && tree_count(tree_list(call, "args")) == 0 && !f.schema && f.name)
        return quoted_literal(a, arena_printf(a, "%s()", f.name));
    for (size_t i = 0; value && i < sizeof values / sizeof *values; i++)
        if (tree_is(value, "op", values[i].op))
            return arena_printf(a, "'%s'", values[i].printed);
    return NULL;
}

static void column_default(struct piece *p)
{
    struct job *j = p->job;
    const struct made *made = new_column(j, p->rel, p->name);
    const json_t *raw = tree_get(p->cmd, "def");
    const char *printed;

    /* Of a column that this plan made without one it is known what stood there before. */
    if (!made || made->fills != FILLS_NULL)
        p->asked = asked_default(j->a, p->rel, p->name);
    else if (raw)
        p->undo = named(p, "ALTER COLUMN ? DROP DEFAULT", p->name);
    if (!raw) {
        p->applied = column_where(p, " AND NOT a.atthasdef");
        return;
    }
    printed = printed_default(j->a, raw);
    if (printed)
        p->applied = column_where(
            p, arena_printf(
                   j->a,
                   " AND EXISTS (SELECT FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid "
                   "AND d.adnum = a.attnum AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) IN (%s))",
                   printed));
}

static void alter_type(struct piece *p)
{
    struct sql_type type;

    const json_t *collate = tree_get(p->def, "collClause");

    if (!tree_type(p->job->a, tree_get(p->def, "typeName"), &type) || !type.typmod_known)
        return;
    const char *is = cond_type_is(p->job->a, &type);
    if (collate) {
        AUTO(str) name = {0};
        struct sql_rel c = tree_name(tree_list(tree_as(collate, "CollateClause"), "collname"), 0);
        sql_qualified(&name, c.schema, c.name ? c.name : "");
        is = arena_printf(p->job->a, "%s AND a.attcollation = pg_catalog.to_regcollation(%s)", is,
                          quoted_literal(p->job->a, str_text(&name)));
    }
    p->applied = column_where(p, is);
}

static void add_identity(struct piece *p)
{
    const char *when = tree_text(p->def, "generated_when");

    if (!when)
        return;
    p->applied = column_where(
        p, arena_printf(p->job->a, " AND a.attidentity = %s", quoted_literal(p->job->a, when)));
    p->undo = named(p, "ALTER COLUMN ? DROP IDENTITY", p->name);
}

static void drop_identity(struct piece *p)
{
    p->applied = column_where(p, " AND a.attidentity = ''");
}

static void drop_expression(struct piece *p)
{
    p->applied = column_where(p, " AND a.attgenerated = ''");
}

static void set_statistics(struct piece *p)
{
    int64_t n;

    /* -1 looks like 0 in some trees. */
    if (p->name && tree_integer(tree_get(p->cmd, "def"), &n) && n > 0)
        p->applied =
            column_where(p, arena_printf(p->job->a, " AND a.attstattarget = %lld", (long long) n));
}

static void set_storage(struct piece *p)
{
    const char *word = tree_string(tree_get(p->cmd, "def"));
    static const char *const words[] = {"plain", "external", "extended", "main", NULL};

    if (word_in(word, words)) /* p, e, x, m */
        p->applied = column_where(p, arena_printf(p->job->a, " AND a.attstorage = '%c'",
                                                  strcmp(word, "extended") == 0 ? 'x' : word[0]));
}

/* ---- constraints ---------------------------------------------------------------------------------- */

/* A promoted index was there before; so it can't just be dropped. */
static void drop_constraint_again(struct piece *p, const char *name, bool is_primary)
{
    const char *index = tree_text(p->def, "indexname");

    p->is_whole = index != NULL;
    if (index)
        p->asked = asked_index(p->job->a, p->rel, name, index, is_primary);
    else
        p->undo = named(p, "DROP CONSTRAINT ?", name);
    if (!index && is_primary)
        p->asked = asked_primary_key(p->job->a, p->rel, name, tree_list(p->def, "keys"));
}

static void add_constraint(struct piece *p)
{
    struct arena *a = p->job->a;
    const char *name = tree_text(p->def, "conname"), *type = tree_text(p->def, "contype");
    static const struct {
        const char *type;
        char contype;
        bool is_validated;
    } kinds[] = {{"CONSTR_CHECK", 'c', true}, {"CONSTR_FOREIGN", 'f', true},
                 {"CONSTR_UNIQUE", 'u'},      {"CONSTR_PRIMARY", 'p'},
                 {"CONSTR_EXCLUSION", 'x'},   {"CONSTR_NOTNULL", 'n', true}};

    if (!name)
        name = tree_text(p->def, "indexname"); /* it gets the index's */
    for (size_t i = 0; type && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        if (name) {
            p->applied = cond_constraint(
                a, p->rel, name,
                arena_printf(a, " AND k.contype = '%c'%s", kinds[i].contype,
                             kinds[i].is_validated && !tree_flag(p->def, "skip_validation")
                                 ? " AND k.convalidated"
                                 : ""));
            drop_constraint_again(p, name, kinds[i].contype == 'p');
        } else if (kinds[i].contype == 'p') { /* there is one at most */
            p->applied = cond_class(a, p->rel,
                                    "EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE "
                                    "k.conrelid = c.oid AND k.contype = 'p')");
        }
    }
}

/* What it was before is the same constraint, NOT VALID: only the server has its text. */
static const char *make_not_valid(struct piece *p)
{
    struct arena *a = p->job->a;
    const char *body =
        arena_printf(a,
                     "BEGIN EXECUTE (SELECT pg_catalog.format('ALTER TABLE %%s DROP CONSTRAINT "
                     "%%I, ADD CONSTRAINT %%I %%s NOT VALID', k.conrelid::pg_catalog.regclass, "
                     "k.conname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))"
                     " FROM pg_catalog.pg_constraint k WHERE k.conrelid = %s AND k.conname = %s "
                     "AND k.convalidated); END",
                     sql_oid(a, p->rel), quoted_literal(a, p->name));

    return arena_printf(a, "DO %s", quoted_literal(a, body));
}

static void validate(struct piece *p)
{
    p->applied = cond_constraint(p->job->a, p->rel, p->name, " AND k.convalidated");
    p->whole = make_not_valid(p);
}

static void drop_constraint(struct piece *p)
{
    p->applied = cond_and(p->job->a, table_is_there(p),
                          cond_not(p->job->a, cond_constraint(p->job->a, p->rel, p->name, "")));
    p->may_be_there = tree_flag(p->cmd, "missing_ok");
}

/* ---- the table itself ------------------------------------------------------------------------------- */

static void class_test(struct piece *p, const char *test, const char *undo)
{
    p->applied = cond_class(p->job->a, p->rel, test);
    p->undo = undo;
}

static void enable_rls(struct piece *p)
{
    class_test(p, "c.relrowsecurity", "DISABLE ROW LEVEL SECURITY");
}
static void disable_rls(struct piece *p)
{
    class_test(p, "NOT c.relrowsecurity", "ENABLE ROW LEVEL SECURITY");
}
static void force_rls(struct piece *p)
{
    class_test(p, "c.relforcerowsecurity", "NO FORCE ROW LEVEL SECURITY");
}
static void no_force_rls(struct piece *p)
{
    class_test(p, "NOT c.relforcerowsecurity", "FORCE ROW LEVEL SECURITY");
}
static void set_logged(struct piece *p) { class_test(p, "c.relpersistence = 'p'", "SET UNLOGGED"); }
static void set_unlogged(struct piece *p) { class_test(p, "c.relpersistence = 'u'", "SET LOGGED"); }

static void set_owner(struct piece *p)
{
    const json_t *role = tree_as(tree_get(p->cmd, "newowner"), "RoleSpec");

    if (tree_is(role, "roletype", "ROLESPEC_CSTRING"))
        p->applied =
            cond_class(p->job->a, p->rel,
                       arena_printf(p->job->a, "pg_catalog.pg_get_userbyid(c.relowner) = %s",
                                    quoted_literal(p->job->a, tree_text(role, "rolename"))));
}

static void replica_identity(struct piece *p)
{
    const char *how = tree_text(p->def, "identity_type");

    if (how && strchr("dfn", how[0]))
        p->applied =
            cond_class(p->job->a, p->rel, arena_printf(p->job->a, "c.relreplident = '%c'", how[0]));
}

static void enable_trigger(struct piece *p)
{
    p->applied = cond_trigger(p->job->a, p->rel, p->name, " AND t.tgenabled = 'O'");
    p->asked = asked_trigger(p->job->a, p->rel, p->name);
    p->undo = named(p, "DISABLE TRIGGER ?", p->name);
}

static void disable_trigger(struct piece *p)
{
    p->applied = cond_trigger(p->job->a, p->rel, p->name, " AND t.tgenabled = 'D'");
    p->asked = asked_trigger(p->job->a, p->rel, p->name);
    p->undo = named(p, "ENABLE TRIGGER ?", p->name);
}

/* ---- partitions ------------------------------------------------------------------------------------- */

static const char *is_attached(struct piece *p, struct sql_rel child, const char *more)
{
    struct arena *a = p->job->a;

    return arena_printf(a,
                        "EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = %s AND "
                        "i.inhrelid = %s%s)",
                        sql_oid(a, p->rel), sql_oid(a, child), more);
}

static void attach_partition(struct piece *p)
{
    struct sql_rel child = tree_rel(tree_get(p->def, "name"));

    p->applied = is_attached(p, child, " AND NOT i.inhdetachpending");
    p->is_whole = !tree_is(p->job->tree, "objtype", "OBJECT_INDEX");
    if (!p->is_whole)
        return;
    p->asked = asked_attach(p->job->a, p->rel, child);
    p->undo = arena_printf(p->job->a, "DETACH PARTITION %s", quoted_rel(p->job->a, child));
}

static void detach_partition(struct piece *p)
{
    struct arena *a = p->job->a;
    struct sql_rel child = tree_rel(tree_get(p->def, "name"));

    p->applied = arena_printf(a, "%s IS NOT NULL AND %s IS NOT NULL AND NOT %s", sql_oid(a, p->rel),
                              sql_oid(a, child), is_attached(p, child, ""));
    if (!tree_flag(p->def, "concurrent"))
        return;
    p->job->out->half_made_when =
        arena_printf(a, "SELECT %s", is_attached(p, child, " AND i.inhdetachpending"));
    p->job->out->clean_up = arena_printf(a, "ALTER TABLE %s DETACH PARTITION %s FINALIZE",
                                         quoted_rel(a, p->rel), quoted_rel(a, child));
}

/* ---- the statement ---------------------------------------------------------------------------------- */

static const struct row {
    const char *subtype;
    bool needs_name;
    void (*derive)(struct piece *p);
} rows[] = {
    {"AT_AddColumn", false, add_column},
    {"AT_DropColumn", true, drop_column},
    {"AT_ColumnDefault", true, column_default},
    {"AT_SetNotNull", true, set_not_null},
    {"AT_DropNotNull", true, drop_not_null},
    {"AT_AlterColumnType", true, alter_type},
    {"AT_AddIdentity", true, add_identity},
    {"AT_DropIdentity", true, drop_identity},
    {"AT_DropExpression", true, drop_expression},
    {"AT_SetStatistics", true, set_statistics},
    {"AT_SetStorage", true, set_storage},
    {"AT_AddConstraint", false, add_constraint},
    {"AT_ValidateConstraint", true, validate},
    {"AT_DropConstraint", true, drop_constraint},
    {"AT_EnableRowSecurity", false, enable_rls},
    {"AT_DisableRowSecurity", false, disable_rls},
    {"AT_ForceRowSecurity", false, force_rls},
    {"AT_NoForceRowSecurity", false, no_force_rls},
    {"AT_SetLogged", false, set_logged},
    {"AT_SetUnLogged", false, set_unlogged},
    {"AT_ChangeOwner", false, set_owner},
    {"AT_ReplicaIdentity", false, replica_identity},
    {"AT_EnableTrig", true, enable_trigger},
    {"AT_DisableTrig", true, disable_trigger},
    {"AT_AttachPartition", false, attach_partition},
    {"AT_DetachPartition", false, detach_partition},
};

static void derive_piece(struct piece *p)
{
    const char *subtype = tree_text(p->cmd, "subtype");

    for (size_t i = 0; subtype && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].subtype, subtype) == 0 && (p->name || !rows[i].needs_name))
            rows[i].derive(p);
}

/* A column that the statement adds goes with everything on it: what it changes on that column besides needs
 * no reverse, and could have none once the column is gone. */
static bool is_on_added_column(const struct piece *pieces, size_t n, const struct piece *p)
{
    const char *subtype = tree_text(p->cmd, "subtype");

    if (!p->name || !subtype || strstr(subtype, "Constraint") || strstr(subtype, "Trig"))
        return false;
    for (size_t i = 0; i < n; i++)
        if (tree_is(pieces[i].cmd, "subtype", "AT_AddColumn") &&
            tree_is(pieces[i].def, "colname", p->name))
            return true;
    return false;
}

static const char *undo_of(struct job *j, const struct piece *pieces, size_t n, const char *word)
{
    bool is_first = true;
    AUTO(str) s = {0};

    if (n == 1 && pieces[0].whole)
        return pieces[0].whole;
    str_addf(&s, "ALTER %s %s ", word, quoted_rel(j->a, pieces[0].rel));
    for (size_t i = n; i-- > 0;) {
        if (is_on_added_column(pieces, n, &pieces[i]))
            continue;
        if (!pieces[i].undo)
            return NULL;
        str_addf(&s, "%s%s", is_first ? "" : ", ", pieces[i].undo);
        is_first = false;
    }
    return arena_strdup(j->a, str_text(&s));
}

/* The same where a part of it has to be asked for: a concatenation, NULL as soon as one of them is. */
static const char *asked_of(struct job *j, const struct piece *pieces, size_t n, const char *word)
{
    bool is_first = true;
    AUTO(str) s = {0};

    if (n == 1 && pieces[0].is_whole)
        return pieces[0].asked;
    str_add(&s, quoted_literal(j->a, arena_printf(j->a, "ALTER %s %s ", word,
                                                  quoted_rel(j->a, pieces[0].rel))));
    for (size_t i = n; i-- > 0;) {
        const struct piece *p = &pieces[i];

        if (is_on_added_column(pieces, n, p))
            continue;
        if (p->is_whole || (!p->undo && !p->asked))
            return NULL;
        str_addf(&s, "%s || %s", is_first ? "" : " || ', '",
                 p->asked ? p->asked : quoted_literal(j->a, p->undo));
        is_first = false;
    }
    return arena_strdup(j->a, str_text(&s));
}

void derive_alter_table(struct job *j)
{
    json_t *cmds = tree_list(j->tree, "cmds");
    const char *objtype = tree_text(j->tree, "objtype"), *all = NULL;
    size_t n = json_array_size(cmds);
    struct piece *pieces = arena_array(j->a, struct piece, n + 1);
    bool may_be_there = false;

    for (size_t i = 0; i < n; i++) {
        const json_t *cmd = tree_as(json_array_get(cmds, i), "AlterTableCmd"),
                     *def = tree_get(cmd, "def");

        pieces[i] = (struct piece) {.job = j,
                                    .rel = tree_rel(tree_get(j->tree, "relation")),
                                    .cmd = cmd,
                                    .def = def ? tree_fields(def) : NULL,
                                    .name = tree_text(cmd, "name"),
                                    .is_type = objtype && strcmp(objtype, "OBJECT_TYPE") == 0};
        derive_piece(&pieces[i]);
        all = i == 0 ? pieces[i].applied : cond_and(j->a, all, pieces[i].applied);
        may_be_there = may_be_there || pieces[i].may_be_there;
    }
    if (n == 0)
        return;
    const char *word =
        is_relation_object(objtype) || pieces[0].is_type ? object_word(objtype) : "TABLE";
    job_derived(j, all, undo_of(j, pieces, n, word));
    bool asks = false;
    for (size_t k = 0; k < n; k++)
        asks |= pieces[k].asked != NULL;
    const char *asked = asks ? asked_of(j, pieces, n, word) : NULL;
    if (asked)
        job_asked(j, asked);
    /* Of several things some may have been there: then the reverse takes more than the step gave. */
    if (n > 1 && may_be_there)
        j->out->undo_lossless = false;
}
