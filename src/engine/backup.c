/* The environment's backup, as pgBackRest or the owner's own program tells of it. Looks only. */
#include "internal.h"

#include "sql_embedded.h"

#include <jansson.h>
#include <stdlib.h>

#define INFO_MAX ((size_t) 16 << 20)
#define NO_VALID_BACKUP 2 /* of status.code: the stanza is there, and holds none */

struct asking {
    struct engine *e;
    const struct backup_ask *ask;
    struct arena *a;
    struct gate_reading *out;
    const struct restore_point *point; /* of the plan, the newest; NULL: none was set */
};

static bool settle(struct asking *k, enum gate_verdict verdict, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Always true: that it can't be read, or is bad, is an answer. */
static bool settle(struct asking *k, enum gate_verdict verdict, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    k->out->verdict = verdict;
    k->out->detail = arena_vprintf(k->a, fmt, ap);
    va_end(ap);
    if (verdict == GATE_NO_DATA)
        k->out->value = NULL;
    return true;
}

static const char *first_line(struct asking *k, const struct str *text)
{
    const char *s = str_text(text);

    s += strspn(s, " \r\n");
    return arena_strndup(k->a, s, strcspn(s, "\r\n"));
}

/* *code < 0: it wasn't run to its end, and that is settled. */
static bool run(struct asking *k, const char *const *argv, struct str *out, const char **said,
                int *code, struct err *err)
{
    struct host *h = k->e->ports->host;
    AUTO(str) errtext = {0};
    AUTO(err) bad = {0};

    *code = -1;
    if (!h->ops->run(h, argv, NULL, k->ask->timeout_ms, out, &errtext, code, &bad)) {
        *code = -1;
        if (err_is(&bad, ERR_INTERRUPTED)) {
            err_move(err, &bad);
            return false;
        }
        return settle(k, GATE_NO_DATA, "%s can't be asked: %s", argv[0], str_text(&bad.message));
    }
    *said = first_line(k, errtext.len ? &errtext : out);
    return true;
}

static bool by_command(struct asking *k, struct err *err)
{
    const struct text_list *l = &k->e->env->backup_command;
    const char **argv = arena_array(k->a, const char *, l->n + 1), *said = NULL;
    AUTO(str) text = {0};
    int code = 0;

    for (int i = 0; i < l->n; i++)
        argv[i] = l->items[i].s;
    if (!run(k, argv, &text, &said, &code, err))
        return false;
    if (code < 0)
        return true;
    k->out->value = first_line(k, &text);
    if (code == 0)
        return settle(k, GATE_PASS, "%s: exit code 0", argv[0]);
    return settle(k, GATE_FAIL, "%s: exit code %d%s%s", argv[0], code, *said ? ": " : "", said);
}

/* ---- pgBackRest ------------------------------------------------------------------------------ */

/* Its passwords and keys are in its own configuration, or in PGBACKREST_* of our environment: never in argv. */
static const char *const *pgbackrest(struct asking *k, const char *command)
{
    const struct environment *env = k->e->env;
    const char **argv = arena_array(k->a, const char *, 9);
    int n = 0;

    argv[n++] = env->backup_program.s ? env->backup_program.s : "pgbackrest";
    argv[n++] = arena_printf(k->a, "--stanza=%s", env->backup_stanza.s);
    if (env->backup_config.s)
        argv[n++] = arena_printf(k->a, "--config=%s", env->backup_config.s);
    if (strcmp(command, "info") == 0)
        argv[n++] = "--output=json";
    argv[n++] = "--log-level-console=off"; /* that would be among the JSON */
    argv[n++] = "--log-level-stderr=warn";
    argv[n++] = "--log-level-file=off"; /* its folder isn't ours to write */
    argv[n++] = command;
    return argv;
}

static json_int_t int_at(const json_t *o, const char *first, const char *second)
{
    const json_t *v = json_object_get(o, first);

    return json_integer_value(second ? json_object_get(v, second) : v);
}

static const char *text_at(const json_t *o, const char *first, const char *second)
{
    const json_t *v = json_object_get(o, first);

    return json_string_value(second ? json_object_get(v, second) : v);
}

/* The stanza has had several servers when it was upgraded; the newest is the one that counts. */
static const json_t *newest_server(const json_t *stanza)
{
    const json_t *all = json_object_get(stanza, "db"), *db, *found = NULL;
    size_t i;

    json_array_foreach((json_t *) all, i, db)
    {
        if (!found || int_at(db, "id", NULL) >= int_at(found, "id", NULL))
            found = db;
    }
    return found;
}

static bool is_this_server(struct asking *k, const json_t *server, bool *out, struct err *err)
{
    struct db_rows rows = {0};

    *out = true;
    if (!k->e->db)
        return true;
    if (!ask_own(k->e, k->a, sql_select_system_identifier, &DB_NO_PARAMS, &rows, err))
        return false;
    *out = strtoll(db_cell(&rows, 0, 0), NULL, 10) == int_at(server, "system-id", NULL);
    return true;
}

static bool lsn_parse(const char *s, uint64_t *out)
{
    char *end;

    if (!s)
        return false;
    uint64_t high = strtoull(s, &end, 16);
    if (*end != '/')
        return false;
    *out = high << 32 | strtoull(end + 1, &end, 16);
    return *end == '\0';
}

static bool is_good(const json_t *backup, const json_t *server)
{
    return !json_is_true(json_object_get(backup, "error")) &&
           int_at(backup, "database", "id") == int_at(server, "id", NULL) &&
           int_at(backup, "timestamp", "stop") > 0;
}

/* Newest that is good; *before: is one among them that ended before the restore point? */
static const json_t *newest_good(const struct asking *k, const json_t *stanza, const json_t *server,
                                 bool *before)
{
    const json_t *all = json_object_get(stanza, "backup"), *b, *found = NULL;
    uint64_t point = 0, stop = 0;
    size_t i;

    *before = !k->point;
    json_array_foreach((json_t *) all, i, b)
    {
        if (!is_good(b, server))
            continue;
        if (!found || int_at(b, "timestamp", "stop") >= int_at(found, "timestamp", "stop"))
            found = b;
        *before |= k->point && lsn_parse(k->point->lsn, &point) &&
                   lsn_parse(text_at(b, "lsn", "stop"), &stop) && stop <= point;
    }
    return found;
}

/* The newest segment that the archive of this server holds; NULL: none. */
static const char *archive_max(const json_t *stanza, const json_t *server)
{
    const json_t *all = json_object_get(stanza, "archive"), *x;
    const char *found = NULL;
    size_t i;

    json_array_foreach((json_t *) all, i, x)
    {
        const char *max = text_at(x, "max", NULL);
        if (int_at(x, "database", "id") == int_at(server, "id", NULL) && max &&
            (!found || strcmp(max, found) > 0))
            found = max;
    }
    return found;
}

static bool judge_archive(struct asking *k, const char *max, bool before, bool *good)
{
    const char *segment = k->point ? k->point->segment : NULL;

    *good = false;
    if (!segment || (before && max && strncmp(max, segment, 8) == 0 && strcmp(max, segment) >= 0)) {
        *good = true;
        return true;
    }
    if (max && strncmp(max, segment, 8) > 0)
        return settle(k, GATE_NO_DATA,
                      "the archive is on another timeline (%s) than restore point %s (%s)", max,
                      k->point->name, segment);
    if (!max || strcmp(max, segment) < 0)
        return settle(k, GATE_FAIL, "the archive ends at %s, and restore point %s is in %s",
                      max ? max : "nothing", k->point->name, segment);
    return settle(k, GATE_FAIL,
                  "no good backup ended before restore point %s at %s: there's nothing to begin "
                  "from",
                  k->point->name, k->point->lsn);
}

static bool judge(struct asking *k, const json_t *stanza, bool *good, struct err *err)
{
    const char *name = k->e->env->backup_stanza.s;
    const json_t *server = newest_server(stanza);
    AUTO(str) age = {0}, limit = {0};
    bool ours = false, before = false;

    *good = false;
    if (!is_this_server(k, server, &ours, err))
        return false;
    if (!ours)
        return settle(k, GATE_FAIL, "stanza %s is of another server than this database's", name);
    const json_t *newest = newest_good(k, stanza, server, &before);
    if (!newest)
        return settle(k, GATE_FAIL, "stanza %s has no good backup", name);
    int64_t max_age =
        k->ask->max_age_ms != MODEL_UNSET ? k->ask->max_age_ms : k->e->env->backup_max_age_ms;
    int64_t ms = (k->e->db ? server_now_ms(k->e) : now_ms(k->e)) -
                 int_at(newest, "timestamp", "stop") * 1000;
    duration_to_text(&age, ms > 0 ? ms - ms % 1000 : 0);
    k->out->value = arena_strdup(k->a, str_text(&age));
    if (max_age != MODEL_UNSET && ms > max_age) {
        duration_to_text(&limit, max_age);
        return settle(k, GATE_FAIL, "the newest good backup, %s, ended %s ago, and %s is the limit",
                      text_at(newest, "label", NULL), str_text(&age), str_text(&limit));
    }
    const char *max = archive_max(stanza, server);
    if (!judge_archive(k, max, before, good) || !*good)
        return true;
    return settle(k, GATE_PASS, "backup %s (%s) ended %s ago; the archive goes up to %s",
                  text_at(newest, "label", NULL), text_at(newest, "type", NULL), str_text(&age),
                  max ? max : "nothing");
}

static const json_t *find_stanza(const json_t *all, const char *name)
{
    const json_t *x;
    size_t i;

    json_array_foreach((json_t *) all, i, x)
    {
        const char *is = text_at(x, "name", NULL);
        if (is && strcmp(is, name) == 0)
            return x;
    }
    return NULL;
}

static bool try_archive(struct asking *k, struct err *err)
{
    const char *said = NULL;
    AUTO(str) text = {0};
    int code = 0;

    if (!run(k, pgbackrest(k, "check"), &text, &said, &code, err) || code < 0)
        return code < 0 && err->kind == 0;
    if (code != 0)
        return settle(k, GATE_FAIL, "pgbackrest check ended with exit code %d: %s", code, said);
    k->out->detail = arena_printf(k->a, "%s; pgbackrest check is content", k->out->detail);
    return true;
}

static bool by_pgbackrest(struct asking *k, struct err *err)
{
    const char *name = k->e->env->backup_stanza.s, *said = NULL;
    json_auto_t *info = NULL;
    AUTO(str) text = {.ceiling = INFO_MAX};
    json_error_t bad;
    bool good = false;
    int code = 0;

    if (!run(k, pgbackrest(k, "info"), &text, &said, &code, err))
        return false;
    if (code < 0)
        return true;
    if (code != 0)
        return settle(k, GATE_NO_DATA, "pgbackrest info ended with exit code %d: %s", code, said);
    info = json_loadb(str_text(&text), text.len, 0, &bad);
    if (!json_is_array(info))
        return settle(k, GATE_NO_DATA, "what pgbackrest info says is no list in JSON%s%s",
                      info ? "" : ": ", info ? "" : bad.text);
    const json_t *stanza = find_stanza(info, name);
    if (!stanza)
        return settle(k, GATE_NO_DATA, "pgBackRest knows no stanza %s", name);
    json_int_t status = int_at(stanza, "status", "code");
    const char *message = text_at(stanza, "status", "message");
    if (!newest_server(stanza) || (status != 0 && status != NO_VALID_BACKUP))
        return settle(k, GATE_NO_DATA, "pgBackRest says of stanza %s: %s", name,
                      message ? message : "nothing");
    return judge(k, stanza, &good, err) && (!good || !k->ask->tries_archive || try_archive(k, err));
}

static bool find_point(struct asking *k, const struct plan *p, struct err *err)
{
    struct restore_point *all = NULL;
    int n = 0;

    if (!p || !k->e->db || !k->e->has_ledger)
        return true;
    if (!ledger_restore_points(k->e->db, k->a, p->id.s, &all, &n, err))
        return false;
    k->point = n > 0 ? &all[n - 1] : NULL;
    return true;
}

bool backup_measure(struct engine *e, const struct plan *p, const struct backup_ask *ask,
                    struct arena *a, struct gate_reading *out, struct err *err)
{
    struct asking k = {.e = e, .ask = ask, .a = a, .out = out};

    memset(out, 0, sizeof *out);
    if (e->env->backup_command.n > 0)
        return by_command(&k, err);
    if (!e->env->backup_stanza.s)
        return settle(&k, GATE_NO_DATA, "environment %s has no backup:, so nobody can tell",
                      e->env->name.s);
    return find_point(&k, p, err) && by_pgbackrest(&k, err);
}

bool backup_gate_measure(struct engine *e, const struct plan *p, const struct gate *g,
                         struct arena *a, struct gate_reading *out, struct err *err)
{
    const struct backup_ask ask = {g->max_age_ms, g->timeout_ms, g->tries_archive};

    return backup_measure(e, p, &ask, a, out, err);
}
