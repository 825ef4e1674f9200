/* ALTER TABLE, sub-command by sub-command, and CREATE INDEX. */
#include "load/sql_work.h"

#include <string.h>

struct sub {
    struct job *job;
    struct sql_rel rel;
    const json_t *cmd;
    const json_t *def;         /* opened; NULL when there is none */
    const char *name;          /* column, constraint or trigger; NULL */
    const struct made *column; /* when it was made before */
    bool is_new;               /* table, or the column in question */
};

/* ---- ADD COLUMN ------------------------------------------------------------------------------- */

#define UNSURE_DEFAULT "brief, unless the default is volatile: then it rewrites the table"
#define UNSURE_DOMAIN "brief, unless the type is a domain with a CHECK: then it rewrites the table"

static void lock_inline(struct sub *s, const json_t *c, bool *has_default)
{
    struct job *j = s->job;
    const char *type = tree_text(c, "contype");
    const json_t *expr = tree_get(c, "raw_expr");

    if (!type)
        return;
    if (strcmp(type, "CONSTR_DEFAULT") == 0) {
        enum volatility v = expr_volatility(expr);

        *has_default = !tree_is_null_const(expr);
        if (v != NOT_VOLATILE)
            job_lock(j, s->rel, LOCK_AE, WORK_REWRITE, v == IS_VOLATILE ? NULL : UNSURE_DEFAULT);
    } else if (strcmp(type, "CONSTR_IDENTITY") == 0 ||
               (strcmp(type, "CONSTR_GENERATED") == 0 && !tree_is(c, "generated_kind", "v"))) {
        *has_default = true;
        job_lock(j, s->rel, LOCK_AE, WORK_REWRITE, NULL);
    } else if (strcmp(type, "CONSTR_CHECK") == 0) {
        job_lock(j, s->rel, LOCK_AE, WORK_SCAN, NULL);
    } else if (strcmp(type, "CONSTR_FOREIGN") == 0) {
        job_lock(j, s->rel, LOCK_AE, WORK_BRIEF,
                 "brief, also SHARE ROW EXCLUSIVE on the referenced table");
    } else if (strcmp(type, "CONSTR_UNIQUE") == 0 || strcmp(type, "CONSTR_PRIMARY") == 0) {
        job_lock(j, s->rel, LOCK_AE, WORK_BUILD, NULL);
    }
}

static void add_column(struct sub *s)
{
    struct job *j = s->job;
    json_t *list = tree_list(s->def, "constraints"), *item;
    const char *column = tree_text(s->def, "colname");
    bool has_default = false, is_not_null = false;
    struct sql_type type;
    size_t i;

    s->name = column;
    json_array_foreach(list, i, item)
    {
        const json_t *c = tree_as(item, "Constraint");

        classify_constraint(j, s->rel, c, column);
        lock_inline(s, c, &has_default);
        is_not_null = is_not_null || tree_is(c, "contype", "CONSTR_NOTNULL");
    }
    if (!tree_type(j->a, tree_get(s->def, "typeName"), &type))
        return;
    if (type.is_serial)
        job_lock(j, s->rel, LOCK_AE, WORK_REWRITE, NULL);
    else if (!type.is_builtin)
        job_lock(j, s->rel, LOCK_AE, WORK_BRIEF, UNSURE_DOMAIN);
    if (is_not_null && !has_default && !type.is_serial)
        job_lock(j, s->rel, LOCK_AE, WORK_SCAN, NULL);
}

/* ---- the other closer looks --------------------------------------------------------------------- */

static void add_constraint(struct sub *s)
{
    struct job *j = s->job;
    const char *type = tree_text(s->def, "contype");
    bool is_not_valid = tree_flag(s->def, "skip_validation"),
         uses_index = tree_get(s->def, "indexname") != NULL;

    s->name = tree_text(s->def, "conname");
    if (!type)
        return;
    classify_constraint(j, s->rel, s->def, NULL);
    if (s->name)
        seen_add(j->seen, MADE_CONSTRAINT, s->rel, s->name);
    if (strcmp(type, "CONSTR_FOREIGN") == 0) {
        job_lock(j, s->rel, LOCK_SRE, is_not_valid ? WORK_BRIEF : WORK_SCAN,
                 is_not_valid ? "brief, on the referenced table too"
                              : "scans the table, and locks the referenced one");
        job_lock(j, tree_rel(tree_get(s->def, "pktable")), LOCK_SRE, WORK_BRIEF, NULL);
    } else if (strcmp(type, "CONSTR_CHECK") == 0 || strcmp(type, "CONSTR_NOTNULL") == 0) {
        job_lock(j, s->rel, LOCK_AE, is_not_valid ? WORK_BRIEF : WORK_SCAN, NULL);
    } else if (!uses_index) {
        job_lock(j, s->rel, LOCK_AE, WORK_BUILD, NULL);
    } else if (strcmp(type, "CONSTR_PRIMARY") == 0) {
        job_lock(j, s->rel, LOCK_AE, WORK_SCAN, "scans the table where a column is nullable");
    } else {
        job_lock(j, s->rel, LOCK_AE, WORK_BRIEF, NULL);
    }
}

static void column_default(struct sub *s)
{
    if (!s->def && !s->is_new)
        job_class(s->job, SQL_RESTRICTIVE, "inserts of live releases may rely on the default");
}

static void set_not_null(struct sub *s)
{
    /* Of a new column too: old writers leave it out. */
    if (is_new_table(s->job, s->rel) ||
        (s->column && (s->column->fills == FILLS_UNIQUE || s->column->fills == FILLS_SAME)))
        return;
    job_class(s->job, SQL_RESTRICTIVE,
              "NOT NULL refuses rows of live releases, which leave the column out or empty");
}

/* Types into which PostgreSQL rounds or cuts without saying so. */
static bool is_lossy_target(const struct sql_type *t)
{
    static const char *const lossy[] = {"int2", "int4",   "float4", "float8", "date",
                                        "time", "timetz", "bool",   "bit",    "bpchar",
                                        "name", "char",   NULL};

    return !t->is_array &&
           (word_in(t->name, lossy) || (t->has_modifiers && strcmp(t->name, "varchar") != 0));
}

static void alter_type(struct sub *s)
{
    struct sql_type type;

    if (s->is_new)
        return;
    if (tree_get(s->def, "raw_default"))
        job_class(s->job, SQL_DESTRUCTIVE, "USING may lose what the new type can't hold");
    else if (tree_type(s->job->a, tree_get(s->def, "typeName"), &type) && is_lossy_target(&type))
        job_class(s->job, SQL_DESTRUCTIVE, "the new type may round or cut what is stored");
    else
        job_class(s->job, SQL_RESTRICTIVE,
                  "may refuse what live releases write, and breaks the statements that they hold "
                  "prepared");
}

static void add_identity(struct sub *s)
{
    if (tree_is(s->def, "generated_when", "a") && !s->is_new)
        job_class(s->job, SQL_RESTRICTIVE,
                  "GENERATED ALWAYS refuses values that live releases may write");
}

static void drop_column(struct sub *s)
{
    /* Of a composite type nothing can be put aside. */
    s->job->out->drop = tree_is(s->job->tree, "objtype", "OBJECT_TYPE") ? DROP_OTHER : DROP_COLUMN;
    s->job->out->cascades = tree_is(s->cmd, "behavior", "DROP_CASCADE");
    if (!s->is_new)
        job_class(s->job, SQL_DESTRUCTIVE, "the column is gone for live releases");
}

/* The same ALTER TABLE adds a CHECK of the same name. */
static bool is_check_replaced(const struct sub *s)
{
    const json_t *cmd;
    size_t i;

    json_array_foreach((json_t *) tree_list(s->job->tree, "cmds"), i, cmd)
    {
        const json_t *fields = tree_fields(cmd), *def = tree_fields(tree_get(fields, "def"));
        const char *name = tree_text(def, "conname");

        if (tree_is(fields, "subtype", "AT_AddConstraint") &&
            tree_is(def, "contype", "CONSTR_CHECK") && name && s->name &&
            strcmp(name, s->name) == 0)
            return true;
    }
    return false;
}

static void drop_constraint(struct sub *s)
{
    s->job->out->cascades = tree_is(s->cmd, "behavior", "DROP_CASCADE");
    if (is_check_replaced(s)) {
        job_class(s->job, SQL_RESTRICTIVE, SQL_CHECK_REPLACED);
        return;
    }
    s->job->out->drop = DROP_CONSTRAINT;
    if (!s->is_new && !(s->name && seen_find(s->job->seen, MADE_CONSTRAINT, s->rel, s->name)))
        job_class(s->job, SQL_DESTRUCTIVE, SQL_CONSTRAINT_GONE);
}

static void attach_partition(struct sub *s)
{
    struct job *j = s->job;
    struct sql_rel child = tree_rel(tree_get(s->def, "name"));

    s->name = child.name;
    if (tree_is(j->tree, "objtype", "OBJECT_INDEX"))
        return;
    if (!is_new_table(j, child) && !s->is_new)
        job_class(j, SQL_RESTRICTIVE,
                  "the bounds refuse rows that live releases may write to the partition");
    job_lock(j, s->rel, LOCK_SUE, WORK_BRIEF, NULL);
    job_lock(
        j, child, LOCK_AE, WORK_SCAN,
        "scans the partition unless a valid CHECK proves its bounds, and the default partition");
}

static void detach_partition(struct sub *s)
{
    struct job *j = s->job;
    bool is_concurrent = tree_flag(s->def, "concurrent");

    s->name = tree_rel(tree_get(s->def, "name")).name;
    j->out->standalone = is_concurrent;
    if (is_concurrent)
        job_lock(j, s->rel, LOCK_AE, WORK_BRIEF,
                 "brief, on the partition alone; SHARE UPDATE EXCLUSIVE on the parent");
    else
        job_lock(j, s->rel, LOCK_AE, WORK_BRIEF, NULL);
    if (!s->is_new)
        job_class(j, SQL_DESTRUCTIVE, "the partition's rows are gone for live releases");
}

static void validate(struct sub *s) { s->job->out->standalone = true; }

/* ---- the table ------------------------------------------------------------------------------------ */

#define SEES_ROWS "changes which rows live releases see"
#define FIRES "changes what happens on writes of live releases"

static const struct row {
    const char *subtype, *words;
    enum sql_class class; /* when the table isn't new */
    const char *why;
    enum lock_mode lock;
    enum work work;
    const char *note;
    void (*look)(struct sub *s);
} rows[] = {
    {"AT_AddColumn", "ADD COLUMN", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF, NULL, add_column},
    {"AT_DropColumn", "DROP COLUMN", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF, NULL, drop_column},
    {"AT_ColumnDefault", "SET DEFAULT", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF, NULL,
     column_default},
    {"AT_SetNotNull", "SET NOT NULL", SQL_ADDITIVE, NULL, LOCK_AE, WORK_SCAN,
     "scans the table unless a valid CHECK proves it", set_not_null},
    {"AT_DropNotNull", "DROP NOT NULL", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF},
    {"AT_AlterColumnType", "ALTER COLUMN TYPE", SQL_ADDITIVE, NULL, LOCK_AE, WORK_REWRITE,
     "rewrites the table unless the types are binary compatible", alter_type},
    {"AT_SetStatistics", "SET STATISTICS", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_BRIEF},
    {"AT_SetOptions", "SET COLUMN OPTIONS", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_BRIEF},
    {"AT_ResetOptions", "RESET COLUMN OPTIONS", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_BRIEF},
    {"AT_SetStorage", "SET STORAGE", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF},
    {"AT_SetCompression", "SET COMPRESSION", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF},
    {"AT_DropExpression", "DROP EXPRESSION", SQL_RESTRICTIVE, "the column isn't computed any more",
     LOCK_AE, WORK_BRIEF},
    {"AT_SetExpression", "SET EXPRESSION", SQL_UNKNOWN, "changes what live releases read", LOCK_AE,
     WORK_REWRITE},
    {"AT_AddIdentity", "ADD IDENTITY", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF, NULL, add_identity},
    {"AT_SetIdentity", "SET IDENTITY", SQL_UNKNOWN, "GENERATED ALWAYS refuses values", LOCK_AE,
     WORK_BRIEF},
    {"AT_DropIdentity", "DROP IDENTITY", SQL_RESTRICTIVE, "inserts of live releases may rely on it",
     LOCK_AE, WORK_BRIEF},
    {"AT_AddConstraint", "ADD CONSTRAINT", SQL_ADDITIVE, NULL, LOCK_NONE, WORK_NONE, NULL,
     add_constraint},
    {"AT_AlterConstraint", "ALTER CONSTRAINT", SQL_UNKNOWN, "changes when the constraint says no",
     LOCK_AE, WORK_BRIEF},
    {"AT_ValidateConstraint", "VALIDATE CONSTRAINT", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_SCAN, NULL,
     validate},
    {"AT_DropConstraint", "DROP CONSTRAINT", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF,
     "brief, on the other table too when it is a foreign key", drop_constraint},
    {"AT_ChangeOwner", "OWNER TO", SQL_RESTRICTIVE, "changes rights that live releases may use",
     LOCK_AE, WORK_BRIEF},
    {"AT_ClusterOn", "CLUSTER ON", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_BRIEF},
    {"AT_DropCluster", "SET WITHOUT CLUSTER", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_BRIEF},
    {"AT_SetLogged", "SET LOGGED", SQL_ADDITIVE, NULL, LOCK_AE, WORK_REWRITE},
    {"AT_SetUnLogged", "SET UNLOGGED", SQL_DESTRUCTIVE, "the rows don't survive a crash", LOCK_AE,
     WORK_REWRITE},
    {"AT_SetTableSpace", "SET TABLESPACE", SQL_ADDITIVE, NULL, LOCK_AE, WORK_REWRITE},
    {"AT_SetAccessMethod", "SET ACCESS METHOD", SQL_ADDITIVE, NULL, LOCK_AE, WORK_REWRITE},
    {"AT_SetRelOptions", "SET OPTIONS", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_BRIEF},
    {"AT_ResetRelOptions", "RESET OPTIONS", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_BRIEF},
    {"AT_EnableTrig", "ENABLE TRIGGER", SQL_UNKNOWN, FIRES, LOCK_SRE, WORK_BRIEF},
    {"AT_EnableAlwaysTrig", "ENABLE ALWAYS TRIGGER", SQL_UNKNOWN, FIRES, LOCK_SRE, WORK_BRIEF},
    {"AT_EnableReplicaTrig", "ENABLE REPLICA TRIGGER", SQL_UNKNOWN, FIRES, LOCK_SRE, WORK_BRIEF},
    {"AT_DisableTrig", "DISABLE TRIGGER", SQL_UNKNOWN, FIRES, LOCK_SRE, WORK_BRIEF},
    {"AT_EnableTrigAll", "ENABLE TRIGGER ALL", SQL_UNKNOWN, FIRES, LOCK_SRE, WORK_BRIEF},
    {"AT_DisableTrigAll", "DISABLE TRIGGER ALL", SQL_UNKNOWN, FIRES, LOCK_SRE, WORK_BRIEF},
    {"AT_EnableTrigUser", "ENABLE TRIGGER USER", SQL_UNKNOWN, FIRES, LOCK_SRE, WORK_BRIEF},
    {"AT_DisableTrigUser", "DISABLE TRIGGER USER", SQL_UNKNOWN, FIRES, LOCK_SRE, WORK_BRIEF},
    {"AT_EnableRule", "ENABLE RULE", SQL_UNKNOWN, FIRES, LOCK_AE, WORK_BRIEF},
    {"AT_EnableAlwaysRule", "ENABLE ALWAYS RULE", SQL_UNKNOWN, FIRES, LOCK_AE, WORK_BRIEF},
    {"AT_EnableReplicaRule", "ENABLE REPLICA RULE", SQL_UNKNOWN, FIRES, LOCK_AE, WORK_BRIEF},
    {"AT_DisableRule", "DISABLE RULE", SQL_UNKNOWN, FIRES, LOCK_AE, WORK_BRIEF},
    {"AT_EnableRowSecurity", "ENABLE ROW LEVEL SECURITY", SQL_RESTRICTIVE, SEES_ROWS, LOCK_AE,
     WORK_BRIEF},
    {"AT_DisableRowSecurity", "DISABLE ROW LEVEL SECURITY", SQL_UNKNOWN, SEES_ROWS, LOCK_AE,
     WORK_BRIEF},
    {"AT_ForceRowSecurity", "FORCE ROW LEVEL SECURITY", SQL_RESTRICTIVE, SEES_ROWS, LOCK_AE,
     WORK_BRIEF},
    {"AT_NoForceRowSecurity", "NO FORCE ROW LEVEL SECURITY", SQL_UNKNOWN, SEES_ROWS, LOCK_AE,
     WORK_BRIEF},
    {"AT_ReplicaIdentity", "REPLICA IDENTITY", SQL_UNKNOWN, "changes what subscribers get", LOCK_AE,
     WORK_BRIEF},
    {"AT_AddInherit", "INHERIT", SQL_UNKNOWN, SEES_ROWS, LOCK_AE, WORK_BRIEF},
    {"AT_DropInherit", "NO INHERIT", SQL_DESTRUCTIVE, "the rows are gone from the parent", LOCK_AE,
     WORK_BRIEF},
    {"AT_AddOf", "OF", SQL_UNKNOWN, "binds the table to a type", LOCK_AE, WORK_BRIEF},
    {"AT_DropOf", "NOT OF", SQL_ADDITIVE, NULL, LOCK_AE, WORK_BRIEF},
    {"AT_AttachPartition", "ATTACH PARTITION", SQL_ADDITIVE, NULL, LOCK_SUE, WORK_BRIEF, NULL,
     attach_partition},
    {"AT_DetachPartition", "DETACH PARTITION", SQL_ADDITIVE, NULL, LOCK_NONE, WORK_NONE, NULL,
     detach_partition},
    {"AT_DetachPartitionFinalize", "DETACH PARTITION FINALIZE", SQL_ADDITIVE, NULL, LOCK_SUE,
     WORK_BRIEF},
    {"AT_GenericOptions", "OPTIONS", SQL_UNKNOWN, "changes where rows come from", LOCK_AE,
     WORK_BRIEF},
    {"AT_AlterColumnGenericOptions", "ALTER COLUMN OPTIONS", SQL_UNKNOWN,
     "changes where rows come from", LOCK_AE, WORK_BRIEF},
};

static const char *words_of(const struct row *row, const struct sub *s)
{
    const char *type = tree_text(s->def, "contype");

    if (strcmp(row->subtype, "AT_ColumnDefault") == 0 && !s->def)
        return "DROP DEFAULT";
    if (strcmp(row->subtype, "AT_DetachPartition") == 0 && tree_flag(s->def, "concurrent"))
        return "DETACH PARTITION CONCURRENTLY";
    if (tree_is(s->job->tree, "objtype", "OBJECT_TYPE"))
        return strcmp(row->subtype, "AT_AddColumn") == 0    ? "ADD ATTRIBUTE"
               : strcmp(row->subtype, "AT_DropColumn") == 0 ? "DROP ATTRIBUTE"
                                                            : "ALTER ATTRIBUTE";
    if (strcmp(row->subtype, "AT_AddConstraint") == 0 && type) {
        static const struct {
            const char *type, *words;
        } kinds[] = {{"CONSTR_CHECK", "ADD CHECK"},       {"CONSTR_FOREIGN", "ADD FOREIGN KEY"},
                     {"CONSTR_UNIQUE", "ADD UNIQUE"},     {"CONSTR_PRIMARY", "ADD PRIMARY KEY"},
                     {"CONSTR_EXCLUSION", "ADD EXCLUDE"}, {"CONSTR_NOTNULL", "ADD NOT NULL"}};

        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            if (strcmp(kinds[i].type, type) == 0)
                return kinds[i].words;
    }
    return row->words;
}

/* "ADD COLUMN, ADD CHECK": each once, in order. */
static void add_words(struct str *kind, const char *words)
{
    const char *found = strstr(str_text(kind), words);
    char after = found ? found[strlen(words)] : 'x';

    if (found && (after == '\0' || after == ','))
        return;
    if (kind->text[kind->len - 1] != ' ')
        str_add(kind, ", ");
    str_add(kind, words);
}

static void classify_sub(struct sub *s, struct str *kind)
{
    struct job *j = s->job;
    const char *subtype = tree_text(s->cmd, "subtype");
    const struct row *row = NULL;

    if (!subtype) /* the enum's first value is left out by some releases */
        subtype = "AT_AddColumn";
    for (size_t i = 0; !row && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].subtype, subtype) == 0)
            row = &rows[i];
    if (!row) {
        job_class(j, SQL_UNKNOWN, "phasegate doesn't know this form of ALTER TABLE");
        job_lock(j, s->rel, LOCK_AE, WORK_BRIEF, NULL);
        return;
    }
    add_words(kind, words_of(row, s));
    if (!is_new_table(j, s->rel) && row->class != SQL_ADDITIVE)
        job_class(j, row->class, row->why);
    if (row->lock != LOCK_NONE)
        job_lock(j, s->rel, row->lock, row->work, row->note);
    if (row->look)
        row->look(s);
}

static const json_t *opened(const json_t *def) { return def ? tree_fields(def) : NULL; }

void classify_alter_table(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));
    json_t *cmds = tree_list(j->tree, "cmds"), *item;
    const char *objtype = tree_text(j->tree, "objtype");
    bool is_type = objtype && strcmp(objtype, "OBJECT_TYPE") == 0;
    int n_drops = 0;
    AUTO(str) kind = {0};
    size_t i;

    str_addf(&kind, "ALTER %s ",
             is_relation_object(objtype) || is_type ? object_word(objtype) : "TABLE");
    json_array_foreach(cmds, i, item)
    { /* PostgreSQL adds columns first, too */
        const json_t *cmd = tree_as(item, "AlterTableCmd");

        if (tree_is(cmd, "subtype", "AT_AddColumn") && !is_type)
            remember_column(j, rel, tree_as(tree_get(cmd, "def"), "ColumnDef"));
    }
    json_array_foreach(cmds, i, item)
    {
        const json_t *cmd = tree_as(item, "AlterTableCmd");
        const char *name = tree_text(cmd, "name");
        struct sub s = {
            j, rel, cmd, opened(tree_get(cmd, "def")), name, new_column(j, rel, name), false};

        s.is_new = s.column || is_new_table(j, rel);
        classify_sub(&s, &kind);
        n_drops += j->out->drop != DROP_NOT;
        if (!j->out->object)
            j->out->object = arena_strdup(j->a, s.name);
    }
    if (n_drops > 0 && tree_count(cmds) > 1) /* a soft drop hides one thing */
        j->out->drop = DROP_OTHER;
    j->out->kind = arena_strdup(j->a, str_text(&kind));
    if (objtype && strcmp(objtype, "OBJECT_INDEX") == 0 && j->out->lock > LOCK_SUE)
        j->out->lock = LOCK_SUE;
    if (is_type)
        j->out->lock = LOCK_NONE, j->out->lock_note = NULL;
}

/* ---- CREATE INDEX --------------------------------------------------------------------------------- */

void classify_create_index(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));
    bool is_unique = tree_flag(j->tree, "unique"), is_concurrent = tree_flag(j->tree, "concurrent");
    bool is_only = !tree_flag(tree_as(tree_get(j->tree, "relation"), "RangeVar"), "inh");
    struct sql_rel index = {rel.schema, tree_text(j->tree, "idxname")};

    j->out->kind = is_unique
                       ? is_concurrent ? "CREATE UNIQUE INDEX CONCURRENTLY" : "CREATE UNIQUE INDEX"
                   : is_concurrent ? "CREATE INDEX CONCURRENTLY"
                                   : "CREATE INDEX";
    j->out->object = arena_strdup(j->a, index.name);
    j->out->standalone = is_concurrent;
    job_lock(j, rel, is_concurrent ? LOCK_SUE : LOCK_S, is_only ? WORK_BRIEF : WORK_BUILD, NULL);
    if (is_unique)
        classify_unique(j, rel, tree_list(j->tree, "indexParams"),
                        tree_flag(j->tree, "nulls_not_distinct"));
    if (index.name)
        seen_add(j->seen, MADE_RELATION, index, NULL);
}
