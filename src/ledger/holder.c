/* Who holds the lease, and who of a dead run is still at work. Looks only. */
#include "rows.h"

#include <string.h>

static bool is_ours(const char *label)
{
    size_t n = strlen(LEASE_NAMESPACE);
    return label && strncmp(label, LEASE_NAMESPACE, n) == 0 &&
           (label[n] == '/' || label[n] == '\0');
}

/* The run in "phasegate/<run>/<step>". */
static const char *label_run(struct arena *a, const char *label)
{
    if (!is_ours(label) || !strchr(label, '/'))
        return NULL;
    const char *run = strchr(label, '/') + 1;
    return arena_strndup(a, run, strcspn(run, "/"));
}

/* The step in "phasegate/<run>/<step>"; NULL: it names none. A step that runs in a transaction is known by this
 * alone: its description would only be seen once it is done. */
static const char *label_step(struct arena *a, const char *label, const struct holder *described)
{
    const char *run = label_run(a, label);

    if (!run || !described->run_id || strcmp(run, described->run_id) != 0)
        return NULL;
    const char *step = strchr(strchr(label, '/') + 1, '/');
    if (!step || !step[1] || (described->command && strcmp(step + 1, described->command) == 0))
        return NULL;
    return arena_strdup(a, step + 1);
}

/* The description of whoever took the lease last; *out zeroed where there is none. */
static bool read_description(struct db *db, struct arena *a, struct holder *out, struct err *err)
{
    struct db_rows rows = {0};
    struct db_params params = DB_PARAMS(LEASE_NAMESPACE);
    if (!ledger_read(db, a, sql_select_migration_lock, &params, &rows, err))
        return false;

    *out = (struct holder) {0};
    if (rows.n_rows == 0)
        return true;
    struct reader r = {&rows, 0, 0};
    out->backend_pid = read_int(&r);
    out->run_id = read_text(&r);
    out->host = read_text(&r);
    out->user = read_text(&r);
    out->command = read_text(&r);
    out->step = read_text(&r);
    out->pid = read_int(&r);
    out->since_ms = read_int(&r);
    return true;
}

bool lease_holder(struct db *db, struct arena *a, bool *out_held, struct holder *out,
                  struct err *err)
{
    struct lock_owner owner;
    struct holder described = {0};
    int version = 0;
    if (!lock_owner(db, a, LOCK_CLASS_LEASE, LEASE_NAMESPACE, &owner, err) ||
        !ledger_version(db, &version, err) ||
        (version > 0 && !read_description(db, a, &described, err)))
        return false;

    *out_held = owner.backend_pid != 0;
    *out = described;
    if (!*out_held)
        return true;
    out->alive = is_ours(owner.label);
    if (described.backend_pid == owner.backend_pid) {
        const char *step = label_step(a, owner.label, &described);
        out->step = step ? step : described.step;
        return true;
    }

    /* Between taking and describing, or described by a predecessor: what the server itself
     * knows. */
    *out = (struct holder) {
        .run_id = label_run(a, owner.label),
        .host = owner.address,
        .user = owner.role,
        .backend_pid = owner.backend_pid,
        .since_ms = owner.since_ms,
        .alive = out->alive,
    };
    return true;
}

bool lease_stale_backends(struct db *db, struct arena *a, const char *run_id, struct holder **out,
                          int *out_n, struct err *err)
{
    struct db_rows rows = {0};
    struct db_params params = DB_PARAMS(run_id);
    if (!db_query(db, a, sql_select_stale_backends, &params, &rows, err))
        return false;

    struct holder *list = arena_array(a, struct holder, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct holder *h = &list[i];
        h->run_id = read_text(&r);
        h->step = read_text(&r);
        h->host = read_text(&r);
        h->user = read_text(&r);
        h->command = read_text(&r);
        h->backend_pid = read_int(&r);
        h->since_ms = read_int(&r);
        h->alive = true;
    }
    *out = list;
    *out_n = rows.n_rows;
    return true;
}
