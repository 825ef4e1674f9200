/* What a schema is made of besides relations and enums: routines, operators, domains, policies, rights, settings. */
#include "check/work.h"

#include "phasegate/statements.h"
#include "sql_embedded.h"

/* A place in here is a bit of the sum. */
static const char rights[] = "rawdD*UCX";

static const char *const right_words[] = {"SELECT", "INSERT",   "UPDATE",
                                          "DELETE", "TRUNCATE", "sight of every row",
                                          "USAGE",  "CREATE",   "EXECUTE"};

/* ---- the roles that statements run as ---------------------------------------------------------------------- */

struct role_list {
    const char **names;
    int n;
};

static void add_role(struct arena *a, struct role_list *l, const char *role)
{
    const char *name = role ? role : "";

    for (int i = 0; i < l->n; i++)
        if (strcmp(l->names[i], name) == 0)
            return;
    l->names = arena_grow(a, l->names, sizeof *l->names * (size_t) l->n,
                          sizeof *l->names * (size_t) (l->n + 1));
    l->names[l->n++] = name;
}

static bool add_roles(struct arena *a, const struct project *p, const struct release *r,
                      struct role_list *l, struct problem_list *problems, struct err *err)
{
    struct statements s = {0};

    if (!statements_load_release(a, p->root, r, &s, problems, err))
        return false;
    for (int i = 0; i < s.n; i++)
        add_role(a, l, s.items[i].role ? s.items[i].role : r->session_role.s);
    return true;
}

/* As PostgreSQL reads an array. */
static const char *array_text(struct arena *a, const struct role_list *l)
{
    AUTO(str) text = {0};

    str_addc(&text, '{');
    for (int i = 0; i < l->n; i++) {
        str_add(&text, i > 0 ? "," : "");
        sql_element(&text, l->names[i]);
    }
    str_addc(&text, '}');
    return arena_strdup(a, str_text(&text));
}

bool check_roles(const struct project *p, struct arena *a, const char **out,
                 struct problem_list *problems, struct err *err)
{
    struct role_list l = {0};

    for (int i = 0; i < p->n_releases; i++)
        if (!add_roles(a, p, &p->releases[i], &l, problems, err))
            return false;
    for (int i = 0; i < p->n_consumers; i++)
        if (!add_roles(a, p, &p->consumers[i], &l, problems, err))
            return false;
    *out = array_text(a, &l);
    return true;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

enum { PART_OBJECTS, PART_RIGHTS, PART_SETTINGS, N_PARTS };

static uint64_t bits_of(const char *letters)
{
    uint64_t bits = 0;

    for (const char *c = letters ? letters : ""; *c; c++) {
        const char *at = strchr(rights, *c);
        bits |= at ? UINT64_C(1) << (at - rights) : 0;
    }
    return bits;
}

/* The day in the names of what a contract has hidden isn't the shadow's. */
static const char *undated(struct arena *a, const char *text)
{
    AUTO(str) to = {0};

    if (!text || !strstr(text, "_drop_"))
        return text;
    cat_add_undated(&to, text);
    return arena_strdup(a, str_text(&to));
}

static void take(struct arena *a, const struct wire_result results[N_PARTS], struct parts *out)
{
    int n = 0;

    for (int k = 0; k < N_PARTS; k++)
        n += results[k].n_rows;
    *out = (struct parts) {arena_array(a, struct schema_object, n + 1), 0};
    for (int k = 0; k < N_PARTS; k++)
        for (int i = 0; i < results[k].n_rows; i++) {
            const char **cell = results[k].cell[i];
            const char *idle = k == PART_OBJECTS ? cell[2] : NULL;

            out->items[out->n++] = (struct schema_object) {
                .name = undated(a, cell[0]),
                .sum = k == PART_RIGHTS ? bits_of(cell[1])
                                        : print_text(PRINT_START, undated(a, cell[1])),
                .is_idle = idle && *idle == 't'};
        }
}

bool parts_read(struct proof *p, struct wire *by, struct arena *a, struct parts *out,
                struct err *err)
{
    struct role_list l = {0};
    struct wire_result results[N_PARTS] = {0};

    for (int i = 0; i < p->n_sessions; i++)
        add_role(a, &l, p->sessions[i].role);
    const char *roles = array_text(a, &l);
    const char *maker[] = {roles, shadow_owner(p->shadow), "true"}, *session[] = {roles, "true"};
    const struct wire_op ops[N_PARTS] = {
        {.kind = WIRE_RUN, .sql = sql_select_shape_objects, .keep_rows = true, .sync = true},
        {.kind = WIRE_RUN,
         .sql = sql_select_shape_rights,
         .args = maker,
         .n_args = 3,
         .keep_rows = true,
         .sync = true},
        {.kind = WIRE_RUN,
         .sql = sql_select_shape_settings,
         .args = session,
         .n_args = 2,
         .keep_rows = true,
         .sync = true}};

    if (!wire_run(by, a, ops, N_PARTS, results, err))
        return false;
    for (int i = 0; i < N_PARTS; i++)
        if (!results[i].ok)
            return err_set(err, ERR_BUG, "the shadow's schema can't be read: %s",
                           results[i].message ? results[i].message : "no answer");
    take(a, results, out);
    return true;
}

bool parts_of_state(struct proof *p, int state, struct arena *a, struct parts *out, struct err *err)
{
    if (cache_parts(p, state, a, out))
        return true;
    if (!parts_read(p, p->root, a, out, err))
        return false;
    cache_note_parts(p, state, out);
    return true;
}

bool parts_read_live(struct db *db, struct arena *a, const char *roles, struct parts *out,
                     struct err *err)
{
    const struct db_params params[N_PARTS] = {DB_NO_PARAMS, DB_PARAMS(roles, NULL, "false"),
                                              DB_PARAMS(roles, "false")};
    static const char *const queries[N_PARTS] = {sql_select_shape_objects, sql_select_shape_rights,
                                                 sql_select_shape_settings};
    struct wire_result results[N_PARTS] = {0};

    for (int i = 0; i < N_PARTS; i++) {
        struct db_rows rows = {0};
        if (!db_query(db, a, queries[i], &params[i], &rows, err))
            return err_note(err, "catalogue of %s", db->shown);
        results[i] = (struct wire_result) {
            .ok = true, .n_rows = rows.n_rows, .n_columns = rows.n_cols, .cell = rows.cell};
    }
    take(a, results, out);
    return true;
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

const char *rights_text(struct arena *a, uint64_t bits)
{
    AUTO(str) text = {0};

    for (int i = 0; rights[i]; i++)
        if (bits >> i & 1)
            str_addf(&text, "%s%s", text.len ? ", " : "", right_words[i]);
    return arena_strdup(a, str_text(&text));
}
