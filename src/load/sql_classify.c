/* What kind of statement is it, whom may it hurt, which lock does it take? The table at the end answers for
 * whole kinds; a row's function looks closer. Locks are those of PostgreSQL 14 to 18. */
#include "load/sql_look.h"

#include <string.h>

/* ---- collecting the answer ------------------------------------------------------------------------ */

static int badness(enum sql_class class)
{
    static const int worst_last[] = {[SQL_ADDITIVE] = 0,
                                     [SQL_UNKNOWN] = 1,
                                     [SQL_DATA] = 2,
                                     [SQL_RESTRICTIVE] = 3,
                                     [SQL_DESTRUCTIVE] = 4};

    return worst_last[class];
}

void job_kind(struct job *j, const char *kind) { j->out->kind = kind; }

void job_class(struct job *j, enum sql_class class, const char *why)
{
    if (badness(class) <= badness(j->out->class))
        return;
    j->out->class = class;
    j->out->class_why = why;
}

void job_lock(struct job *j, struct sql_rel rel, enum lock_mode mode, enum work work,
              const char *note)
{
    static const char *const words[] = {[WORK_BRIEF] = "brief",
                                        [WORK_BUILD] = "builds an index",
                                        [WORK_SCAN] = "scans the table",
                                        [WORK_REWRITE] = "rewrites the table"};
    const struct made *made = rel.name ? seen_find(j->seen, MADE_RELATION, rel, NULL) : NULL;

    if (made && made->text == j->seen->text)
        return;
    if (mode > j->out->lock)
        j->out->lock = mode;
    /* Of two with the same work, the one that says more. */
    if (work > j->work ||
        (work == j->work && work != WORK_NONE && note && j->out->lock_note == words[work])) {
        j->work = work;
        j->out->lock_note = note ? note : words[work];
    }
}

void job_table(struct job *j, struct sql_rel rel)
{
    j->out->schema = arena_strdup(j->a, rel.schema);
    j->out->table = arena_strdup(j->a, rel.name);
}

bool is_new_table(const struct job *j, struct sql_rel rel)
{
    return rel.name && seen_find(j->seen, MADE_RELATION, rel, NULL);
}

const struct made *new_column(const struct job *j, struct sql_rel rel, const char *column)
{
    return column ? seen_find(j->seen, MADE_COLUMN, rel, column) : NULL;
}

/* ---- words ---------------------------------------------------------------------------------------- */

static const struct {
    const char *type, *word;
    bool is_relation;
} objects[] = {
    {"OBJECT_TABLE", "TABLE", true},
    {"OBJECT_FOREIGN_TABLE", "FOREIGN TABLE", true},
    {"OBJECT_VIEW", "VIEW", true},
    {"OBJECT_MATVIEW", "MATERIALIZED VIEW", true},
    {"OBJECT_INDEX", "INDEX", true},
    {"OBJECT_SEQUENCE", "SEQUENCE", true},
    {"OBJECT_TYPE", "TYPE"},
    {"OBJECT_DOMAIN", "DOMAIN"},
    {"OBJECT_SCHEMA", "SCHEMA"},
    {"OBJECT_COLUMN", "COLUMN"},
    {"OBJECT_ATTRIBUTE", "ATTRIBUTE"},
    {"OBJECT_TABCONSTRAINT", "CONSTRAINT"},
    {"OBJECT_DOMCONSTRAINT", "CONSTRAINT"},
    {"OBJECT_TRIGGER", "TRIGGER"},
    {"OBJECT_POLICY", "POLICY"},
    {"OBJECT_RULE", "RULE"},
    {"OBJECT_FUNCTION", "FUNCTION"},
    {"OBJECT_PROCEDURE", "PROCEDURE"},
    {"OBJECT_ROUTINE", "ROUTINE"},
    {"OBJECT_AGGREGATE", "AGGREGATE"},
    {"OBJECT_EXTENSION", "EXTENSION"},
    {"OBJECT_STATISTIC_EXT", "STATISTICS"},
    {"OBJECT_PUBLICATION", "PUBLICATION"},
    {"OBJECT_SUBSCRIPTION", "SUBSCRIPTION"},
    {"OBJECT_EVENT_TRIGGER", "EVENT TRIGGER"},
    {"OBJECT_OPERATOR", "OPERATOR"},
    {"OBJECT_CAST", "CAST"},
    {"OBJECT_COLLATION", "COLLATION"},
    {"OBJECT_DATABASE", "DATABASE"},
    {"OBJECT_ROLE", "ROLE"},
    {"OBJECT_TABLESPACE", "TABLESPACE"},
    {"OBJECT_FDW", "FOREIGN DATA WRAPPER"},
    {"OBJECT_FOREIGN_SERVER", "SERVER"},
    {"OBJECT_LARGEOBJECT", "LARGE OBJECT"},
};

const char *object_word(const char *object_type)
{
    for (size_t i = 0; object_type && i < sizeof objects / sizeof *objects; i++)
        if (strcmp(objects[i].type, object_type) == 0)
            return objects[i].word;
    return "OBJECT";
}

bool is_relation_object(const char *object_type)
{
    for (size_t i = 0; object_type && i < sizeof objects / sizeof *objects; i++)
        if (strcmp(objects[i].type, object_type) == 0)
            return objects[i].is_relation;
    return false;
}

/* ---- the table ------------------------------------------------------------------------------------ */

#define RIGHTS "changes rights that live releases may use"
#define CANT_SEE "what it does can't be seen in its text"

static const struct row {
    const char *node, *kind;
    enum sql_class class;
    const char *why;
    const char *rel; /* key of the main relation */
    enum lock_mode lock;
    enum work work;
    bool standalone;
    void (*look)(struct job *j);
} rows[] = {
    {"CreateStmt", "CREATE TABLE", SQL_ADDITIVE, NULL, "relation", .look = look_create_table},
    {"CreateForeignTableStmt", "CREATE FOREIGN TABLE", SQL_ADDITIVE},
    {"CreateTableAsStmt", "CREATE TABLE AS", SQL_ADDITIVE, .look = look_create_table_as},
    {"AlterTableStmt", "ALTER TABLE", SQL_ADDITIVE, NULL, "relation", .look = classify_alter_table},
    {"IndexStmt", "CREATE INDEX", SQL_ADDITIVE, NULL, "relation", .look = classify_create_index},
    {"ReindexStmt", "REINDEX", SQL_ADDITIVE, .look = look_reindex},
    {"ViewStmt", "CREATE VIEW", SQL_ADDITIVE, NULL, "view", .look = look_create_view},
    {"RefreshMatViewStmt", "REFRESH MATERIALIZED VIEW", SQL_ADDITIVE, NULL, "relation",
     .look = look_refresh},
    {"CreateSeqStmt", "CREATE SEQUENCE", SQL_ADDITIVE, NULL, "sequence",
     .look = look_create_sequence},
    {"AlterSeqStmt", "ALTER SEQUENCE", SQL_UNKNOWN, "may change the numbers that live releases get",
     "sequence"},
    {"CreateEnumStmt", "CREATE TYPE", SQL_ADDITIVE, .look = look_create_type},
    {"CompositeTypeStmt", "CREATE TYPE", SQL_ADDITIVE, .look = look_create_type},
    {"CreateRangeStmt", "CREATE TYPE", SQL_ADDITIVE, .look = look_create_type},
    {"CreateDomainStmt", "CREATE DOMAIN", SQL_ADDITIVE, .look = look_create_type},
    {"AlterEnumStmt", "ALTER TYPE ADD VALUE", SQL_ADDITIVE, .look = look_alter_enum},
    {"AlterDomainStmt", "ALTER DOMAIN", SQL_UNKNOWN, .look = look_alter_domain},
    {"AlterTypeStmt", "ALTER TYPE", SQL_UNKNOWN, CANT_SEE},
    {"CreateSchemaStmt", "CREATE SCHEMA", SQL_ADDITIVE, .look = look_create_schema},
    {"CreateExtensionStmt", "CREATE EXTENSION", SQL_ADDITIVE},
    {"AlterExtensionStmt", "ALTER EXTENSION UPDATE", SQL_UNKNOWN, CANT_SEE},
    {"AlterExtensionContentsStmt", "ALTER EXTENSION", SQL_UNKNOWN, CANT_SEE},
    {"CreateFunctionStmt", "CREATE FUNCTION", SQL_ADDITIVE, .look = look_create_function},
    {"AlterFunctionStmt", "ALTER FUNCTION", SQL_UNKNOWN,
     "may change what a function does that live releases call"},
    {"CreateTrigStmt", "CREATE TRIGGER", SQL_ADDITIVE, NULL, "relation",
     .look = look_create_trigger},
    {"CreateEventTrigStmt", "CREATE EVENT TRIGGER", SQL_UNKNOWN, CANT_SEE},
    {"AlterEventTrigStmt", "ALTER EVENT TRIGGER", SQL_UNKNOWN, CANT_SEE},
    {"CreatePolicyStmt", "CREATE POLICY", SQL_ADDITIVE, NULL, "table", LOCK_AE, WORK_BRIEF,
     .look = look_create_policy},
    {"AlterPolicyStmt", "ALTER POLICY", SQL_RESTRICTIVE, "may hide rows from live releases",
     "table", LOCK_AE, WORK_BRIEF},
    {"RuleStmt", "CREATE RULE", SQL_ADDITIVE, NULL, "relation", LOCK_AE, WORK_BRIEF,
     .look = look_create_rule},
    {"CreateStatsStmt", "CREATE STATISTICS", SQL_ADDITIVE, .look = look_create_statistics},
    {"AlterStatsStmt", "ALTER STATISTICS", SQL_ADDITIVE},
    {"DefineStmt", "CREATE", SQL_ADDITIVE},
    {"AlterTSConfigurationStmt", "ALTER TEXT SEARCH CONFIGURATION", SQL_UNKNOWN,
     "changes what live releases find"},
    {"AlterTSDictionaryStmt", "ALTER TEXT SEARCH DICTIONARY", SQL_UNKNOWN,
     "changes what live releases find"},
    {"CreateCastStmt", "CREATE CAST", SQL_UNKNOWN,
     "may change how statements of live releases are read"},
    {"CreateOpClassStmt", "CREATE OPERATOR CLASS", SQL_ADDITIVE},
    {"CreateOpFamilyStmt", "CREATE OPERATOR FAMILY", SQL_ADDITIVE},
    {"CreateTransformStmt", "CREATE TRANSFORM", SQL_ADDITIVE},
    {"CreateConversionStmt", "CREATE CONVERSION", SQL_ADDITIVE},
    {"CreateAmStmt", "CREATE ACCESS METHOD", SQL_ADDITIVE},
    {"CreatePLangStmt", "CREATE LANGUAGE", SQL_ADDITIVE},
    {"CreateFdwStmt", "CREATE FOREIGN DATA WRAPPER", SQL_ADDITIVE},
    {"CreateForeignServerStmt", "CREATE SERVER", SQL_ADDITIVE},
    {"CreateUserMappingStmt", "CREATE USER MAPPING", SQL_ADDITIVE},
    {"ImportForeignSchemaStmt", "IMPORT FOREIGN SCHEMA", SQL_ADDITIVE},
    {"DropStmt", "DROP", SQL_ADDITIVE, .look = look_drop},
    {"DropOwnedStmt", "DROP OWNED", SQL_DESTRUCTIVE, "whatever the role owns is gone", NULL,
     LOCK_AE, WORK_BRIEF},
    {"ReassignOwnedStmt", "REASSIGN OWNED", SQL_RESTRICTIVE, RIGHTS, NULL, LOCK_AE, WORK_BRIEF},
    {"DropRoleStmt", "DROP ROLE", SQL_DESTRUCTIVE, "live releases may log in with the role"},
    {"DropUserMappingStmt", "DROP USER MAPPING", SQL_DESTRUCTIVE,
     "live releases may use the mapping"},
    {"RenameStmt", "RENAME", SQL_ADDITIVE, .look = look_rename_object},
    {"AlterObjectSchemaStmt", "SET SCHEMA", SQL_ADDITIVE, .look = look_set_schema},
    {"AlterOwnerStmt", "OWNER TO", SQL_RESTRICTIVE, RIGHTS, .look = look_alter_owner},
    {"AlterObjectDependsStmt", "DEPENDS ON EXTENSION", SQL_ADDITIVE},
    {"CommentStmt", "COMMENT", SQL_ADDITIVE, .look = look_comment},
    {"SecLabelStmt", "SECURITY LABEL", SQL_UNKNOWN, RIGHTS},
    {"GrantStmt", "GRANT", SQL_ADDITIVE, .look = look_grant},
    {"GrantRoleStmt", "GRANT ROLE", SQL_UNKNOWN, RIGHTS},
    {"AlterDefaultPrivilegesStmt", "ALTER DEFAULT PRIVILEGES", SQL_ADDITIVE},
    {"CreateRoleStmt", "CREATE ROLE", SQL_ADDITIVE},
    {"AlterRoleStmt", "ALTER ROLE", SQL_UNKNOWN, RIGHTS},
    {"AlterRoleSetStmt", "ALTER ROLE SET", SQL_UNKNOWN, "changes settings of new sessions"},
    {"TruncateStmt", "TRUNCATE", SQL_ADDITIVE, .look = look_truncate},
    {"ClusterStmt", "CLUSTER", SQL_ADDITIVE, NULL, "relation", LOCK_AE, WORK_REWRITE,
     .look = look_cluster},
    {"VacuumStmt", "VACUUM", SQL_ADDITIVE, .look = look_vacuum},
    {"CreatePublicationStmt", "CREATE PUBLICATION", SQL_ADDITIVE, .look = look_create_publication},
    {"AlterPublicationStmt", "ALTER PUBLICATION", SQL_UNKNOWN, "changes what subscribers get"},
    {"CreateSubscriptionStmt", "CREATE SUBSCRIPTION", SQL_UNKNOWN,
     "writes rows that live releases may see", .standalone = true},
    {"AlterSubscriptionStmt", "ALTER SUBSCRIPTION", SQL_UNKNOWN,
     "changes what is written by the subscription", .standalone = true},
    {"DropSubscriptionStmt", "DROP SUBSCRIPTION", SQL_DESTRUCTIVE, "nothing more arrives by it",
     .standalone = true},
    {"CreatedbStmt", "CREATE DATABASE", SQL_ADDITIVE, .standalone = true},
    {"DropdbStmt", "DROP DATABASE", SQL_DESTRUCTIVE, "the database is gone", .standalone = true},
    {"AlterDatabaseStmt", "ALTER DATABASE", SQL_UNKNOWN, "changes settings of new sessions",
     .standalone = true},
    {"AlterDatabaseSetStmt", "ALTER DATABASE SET", SQL_UNKNOWN, "changes settings of new sessions"},
    {"AlterDatabaseRefreshCollStmt", "ALTER DATABASE REFRESH COLLATION VERSION", SQL_ADDITIVE},
    {"CreateTableSpaceStmt", "CREATE TABLESPACE", SQL_ADDITIVE, .standalone = true},
    {"DropTableSpaceStmt", "DROP TABLESPACE", SQL_DESTRUCTIVE, "the tablespace is gone",
     .standalone = true},
    {"AlterTableSpaceOptionsStmt", "ALTER TABLESPACE", SQL_ADDITIVE},
    {"AlterTableMoveAllStmt", "ALTER TABLE ALL IN TABLESPACE", SQL_ADDITIVE, NULL, NULL, LOCK_AE,
     WORK_REWRITE},
    {"AlterSystemStmt", "ALTER SYSTEM", SQL_UNKNOWN, "changes settings of the server",
     .standalone = true},
    {"InsertStmt", "INSERT", SQL_ADDITIVE, NULL, "relation", LOCK_RE, WORK_BRIEF,
     .look = look_data},
    {"UpdateStmt", "UPDATE", SQL_ADDITIVE, NULL, "relation", LOCK_RE, WORK_BRIEF,
     .look = look_data},
    {"DeleteStmt", "DELETE", SQL_ADDITIVE, NULL, "relation", LOCK_RE, WORK_BRIEF,
     .look = look_data},
    {"MergeStmt", "MERGE", SQL_ADDITIVE, NULL, "relation", LOCK_RE, WORK_BRIEF, .look = look_data},
    {"SelectStmt", "SELECT", SQL_ADDITIVE, .look = look_select_rows},
    {"CopyStmt", "COPY", SQL_ADDITIVE, NULL, "relation", .look = look_copy},
    {"DoStmt", "DO", SQL_UNKNOWN, CANT_SEE},
    {"CallStmt", "CALL", SQL_UNKNOWN, CANT_SEE},
    {"ExecuteStmt", "EXECUTE", SQL_UNKNOWN, CANT_SEE},
    {"PrepareStmt", "PREPARE", SQL_ADDITIVE, .look = look_inner},
    {"DeallocateStmt", "DEALLOCATE", SQL_ADDITIVE},
    {"ExplainStmt", "EXPLAIN", SQL_ADDITIVE, .look = look_inner},
    {"LockStmt", "LOCK TABLE", SQL_ADDITIVE, .look = look_lock_table},
    {"VariableSetStmt", "SET", SQL_ADDITIVE, .look = look_set},
    {"VariableShowStmt", "SHOW", SQL_ADDITIVE},
    {"ConstraintsSetStmt", "SET CONSTRAINTS", SQL_ADDITIVE},
    {"DiscardStmt", "DISCARD", SQL_ADDITIVE},
    {"CheckPointStmt", "CHECKPOINT", SQL_ADDITIVE},
    {"LoadStmt", "LOAD", SQL_UNKNOWN, CANT_SEE},
    {"NotifyStmt", "NOTIFY", SQL_UNKNOWN, "live releases may listen"},
    {"ListenStmt", "LISTEN", SQL_ADDITIVE},
    {"UnlistenStmt", "UNLISTEN", SQL_ADDITIVE},
    {"TransactionStmt", "transaction control", SQL_UNKNOWN,
     "phasegate opens and ends the transaction"},
    {"DeclareCursorStmt", "DECLARE CURSOR", SQL_ADDITIVE},
    {"FetchStmt", "FETCH", SQL_ADDITIVE},
    {"ClosePortalStmt", "CLOSE", SQL_ADDITIVE},
};

void sql_classify(struct job *j)
{
    const struct row *row = NULL;
    struct sql_rel rel;

    for (size_t i = 0; !row && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].node, j->node) == 0)
            row = &rows[i];
    if (!row) { /* a statement of a later PostgreSQL */
        job_kind(j, arena_strdup(j->a, j->node));
        job_class(j, SQL_UNKNOWN, "phasegate doesn't know this kind of statement");
        return;
    }
    job_kind(j, row->kind);
    j->out->standalone = row->standalone;
    if (row->class != SQL_UNKNOWN || row->why)
        job_class(j, row->class, row->why);
    rel = row->rel ? tree_rel(tree_get(j->tree, row->rel)) : (struct sql_rel) {NULL, NULL};
    if (rel.name)
        job_table(j, rel);
    if (row->lock != LOCK_NONE)
        job_lock(j, rel, row->lock, row->work, NULL);
    if (row->look)
        row->look(j);
}
