/* What a program makes of rows: reading, asking, and finding the row that it can't do. */
#include "via.h"

#include "phasegate/json_out.h"
#include "sql_embedded.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE_MS 30000 /* for one answer or all: then it is ended */
#define SILENT_TIMES 6   /* in a row without any answer: three rows, twice each */
#define AGAIN_MS 200
#define BAD_STATE "38000" /* external_routine_exception */

static const char *number(struct arena *a, int64_t n)
{
    return arena_printf(a, "%lld", (long long) n);
}

static bool fails(struct err *err)
{
    memcpy(err->sqlstate, BAD_STATE, sizeof err->sqlstate);
    return false;
}

static void set_bad(struct via_row *r, const char *sqlstate, const char *why)
{
    r->said = NULL;
    r->bad = why;
    memcpy(r->sqlstate, sqlstate, sizeof r->sqlstate);
}

/* ---- the program ------------------------------------------------------------------------------------------- */

/* For the thread that watches: it has the way to the user. */
static void take_said(struct worker *w)
{
    AUTO(str) said = {0};

    if (!w->program)
        return;
    w->program->ops->said(w->program, &said);
    pthread_mutex_lock(&w->crew->lock);
    str_add(&w->crew->said, str_text(&said));
    pthread_mutex_unlock(&w->crew->lock);
}

static void end(struct worker *w, bool gently)
{
    take_said(w);
    if (w->program)
        w->program->ops->end(w->program, gently);
    w->program = NULL;
}

void via_end(struct worker *w) { end(w, true); }

static bool open_coprocess(struct worker *w, struct err *err)
{
    struct host *h = w->crew->ports->host;
    const struct backfill_setup *s = w->crew->setup;

    if (w->program || h->ops->open_coprocess(h, s->via, s->via_env, &w->program, err))
        return true;
    err_note(err, "via: of backfill %s", s->name);
    return fails(err);
}

static bool may_wait(void *worker)
{
    struct crew *c = ((struct worker *) worker)->crew;

    pthread_mutex_lock(&c->lock);
    bool stops = c->stops;
    pthread_mutex_unlock(&c->lock);
    return !stops;
}

/* ---- an answer --------------------------------------------------------------------------------------------- */

/* Numbers that are too large for jansson's integers are compared as nearly as it can. */
static json_t *object_of(const char *line, json_error_t *why)
{
    json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, why);

    if (!o)
        o = json_loads(line, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, why);
    if (o && !json_is_object(o)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static bool has_key(const struct worker *w, const json_t *answer)
{
    const struct walk *k = &w->crew->walk;

    for (int i = 0; i < k->n_keys; i++)
        if (!json_object_get(answer, k->keys[i]))
            return false;
    return true;
}

static bool is_of(const struct worker *w, const json_t *answer, const struct via_row *r)
{
    const struct walk *k = &w->crew->walk;
    json_error_t ignored;
    json_t *told = object_of(r->told, &ignored);
    bool same = told != NULL;

    for (int i = 0; same && i < k->n_keys; i++)
        same = json_equal(json_object_get(answer, k->keys[i]), json_object_get(told, k->keys[i]));
    json_decref(told);
    return same;
}

static const char *error_of(const struct worker *w, const json_t *answer)
{
    const struct pair_list *set = &w->crew->setup->spec.set;
    const json_t *error = json_object_get(answer, "error");

    for (int i = 0; i < set->n; i++)
        if (backfill_is_via(&set->items[i]) && strcmp(set->items[i].key.s, "error") == 0)
            return NULL; /* it is a column */
    if (!error)
        return NULL;
    return json_is_string(error) ? json_string_value(error) : "an error without words";
}

static void take_values(struct worker *w, struct via_row *r, const json_t *answer, const char *line)
{
    const struct pair_list *set = &w->crew->setup->spec.set;
    const char *error = error_of(w, answer);

    if (error) {
        set_bad(r, BAD_STATE, arena_strdup(&w->batch, error));
        return;
    }
    if (!has_key(w, answer)) {
        set_bad(r, BAD_STATE, "the program's answer doesn't say the key");
        return;
    }
    for (int i = 0; i < set->n; i++)
        if (backfill_is_via(&set->items[i]) && !json_object_get(answer, set->items[i].key.s)) {
            set_bad(r, BAD_STATE,
                    arena_printf(&w->batch, "the program's answer says nothing of %s",
                                 set->items[i].key.s));
            return;
        }
    r->said = arena_strdup(&w->batch, line);
}

static bool out_of_step(struct worker *w, const struct via_row *r, struct err *err)
{
    err_set(err, ERR_STOPPED, "backfill %s: %s answered for a row that it wasn't asked for",
            w->crew->setup->name, w->crew->setup->via[0]);
    err_detail(err, "the answer for %s was next",
               key_json(&w->batch, (const char *const *) r->key, w->crew->walk.n_keys));
    err_hint(err, "one line for each line, in the same order, with the key as it came");
    return fails(err);
}

/* Numbers are read with sixteen digits or so: of two keys that look alike then, which stand beside each other, nobody can
 * tell whose answer it is. */
static bool is_ambiguous(const struct worker *w, const json_t *answer, const struct via_row *rows,
                         int i, int n)
{
    bool any = false;

    for (int k = 0; k < w->crew->walk.n_keys; k++)
        any |= json_is_real(json_object_get(answer, w->crew->walk.keys[k]));
    return any && ((i > 0 && is_of(w, answer, &rows[i - 1])) ||
                   (i + 1 < n && is_of(w, answer, &rows[i + 1])));
}

/* The row that it is of, or a later one: those between got no answer. */
static bool take_answer(struct worker *w, struct via_row *rows, int *at, int n, const char *line,
                        struct err *err)
{
    json_error_t why;
    json_t *answer = object_of(line, &why);
    int i = *at;

    if (!answer) {
        set_bad(&rows[i], BAD_STATE, "the program's answer isn't a JSON object");
        *at = i + 1;
        return true;
    }
    if (has_key(w, answer))
        while (i < n && !is_of(w, answer, &rows[i]))
            i++;
    bool good = i < n || out_of_step(w, &rows[*at], err);
    for (int k = *at; good && k < i; k++)
        set_bad(&rows[k], BAD_STATE, "the program gave no answer");
    if (good && is_ambiguous(w, answer, rows, i, n))
        set_bad(&rows[i], BAD_STATE,
                "its key can't be told from the one beside it, as JSON has it");
    else if (good)
        take_values(w, &rows[i], answer, line);
    json_decref(answer);
    *at = good ? i + 1 : *at;
    return good;
}

/* ---- a batch of questions ---------------------------------------------------------------------------------- */

static bool ask_some(struct worker *w, struct via_row *rows, int *at, int n,
                     enum coprocess_turn *turn, struct err *err)
{
    int64_t limit = w->crew->setup->statement_ms, now = clock_mono_ms(w->crew->ports->clock);
    int64_t until = now + (limit > 0 && limit < SILENCE_MS ? limit : SILENCE_MS);
    AUTO(str) line = {0};

    for (int i = *at; i < n; i++) {
        w->program->ops->feed(w->program, rows[i].told, strlen(rows[i].told));
        w->program->ops->feed(w->program, "\n", 1);
    }
    *turn = COPROCESS_LINE;
    while (*at < n) {
        *turn = w->program->ops->next(w->program, until, may_wait, w, &line);
        if (*turn != COPROCESS_LINE)
            break;
        /* What stands behind a NUL would be seen by nobody. */
        const char *said = strlen(str_text(&line)) == line.len ? str_text(&line) : "";
        if (!take_answer(w, rows, at, n, said, err))
            return false;
    }
    take_said(w);
    return true;
}

static bool told_to_stop(struct err *err)
{
    err_set(err, ERR_STOPPED, "stopped while a program was asked");
    memcpy(err->sqlstate, "57014", sizeof err->sqlstate);
    return false;
}

static bool is_silent(struct worker *w, enum coprocess_turn turn, struct err *err)
{
    err_set(err, ERR_STOPPED, "backfill %s: %s %s, whatever row it is asked for",
            w->crew->setup->name, w->crew->setup->via[0],
            turn == COPROCESS_LATE ? "doesn't answer in time" : "ends without an answer");
    err_hint(err, "try it by hand with a line like the rows of the table; its standard error is "
                  "in the log above");
    return fails(err);
}

/* The row at which it fell silent is asked for alone, by a new program; then it is that row's fault. */
static bool start_over(struct worker *w, struct via_row *rows, int *at, bool *alone, bool any,
                       enum coprocess_turn turn, struct err *err)
{
    AUTO(arena) a = {0};

    end(w, false);
    w->silent = any ? 0 : w->silent + 1;
    if (turn == COPROCESS_LEFT)
        return told_to_stop(err);
    if (w->silent >= SILENT_TIMES)
        return is_silent(w, turn, err);
    if (*alone) {
        set_bad(&rows[*at], BAD_STATE,
                turn == COPROCESS_LATE ? "the program gave no answer in time"
                                       : "the program ended instead of answering");
        ++*at;
    }
    *alone = !*alone;
    worker_note_retry(w, false);
    if (!worker_pause(w, AGAIN_MS * w->silent))
        return told_to_stop(err);
    return !w->slice.id ||
           db_exec(w->db, sql_renew_backfill_slice,
                   &DB_PARAMS(number(&a, w->slice.id), number(&a, w->slice.epoch)), err);
}

static bool ask_all(struct worker *w, struct via *v, struct err *err)
{
    bool alone = false;

    for (int at = 0; at < v->n;) {
        int before = at, most = alone ? at + 1 : v->n;
        enum coprocess_turn turn;

        if (!open_coprocess(w, err))
            return false;
        if (!ask_some(w, v->rows, &at, most, &turn, err)) {
            end(w, false);
            return false;
        }
        if (at == most) {
            alone = false;
            w->silent = 0;
        } else if (!start_over(w, v->rows, &at, &alone, at > before, turn, err)) {
            return false;
        }
    }
    return true;
}

/* ---- the statement's parameter -------------------------------------------------------------------------------- */

#define SAID_MAX ((size_t) 256 << 20)

static bool parameter(struct worker *w, const struct via *v, int from, int to, const char **out,
                      struct err *err)
{
    AUTO(str) text = {.ceiling = SAID_MAX};
    struct json_out j;

    json_begin(&j, &text, false);
    json_array_begin(&j, NULL);
    for (int i = from; i < to; i++) {
        const struct via_row *r = &v->rows[i];

        json_object_begin(&j, NULL);
        for (int k = 0; k < w->crew->walk.n_keys; k++)
            json_str(&j, arena_printf(&w->batch, "phasegate_k%d", k + 1), r->key[k]);
        if (r->said) {
            json_str(&j, "phasegate_row", r->seen);
            json_raw(&j, "phasegate_said", r->said);
        } else {
            json_bool(&j, "phasegate_bad", true);
        }
        json_object_end(&j);
    }
    json_array_end(&j);
    if (text.full) { /* as when a batch takes too long: a smaller one may do */
        err_set(err, ERR_SQL, "the answers of %s to %d rows are too large", w->crew->setup->via[0],
                to - from);
        memcpy(err->sqlstate, "57014", sizeof err->sqlstate);
        return false;
    }
    *out = arena_strdup(&w->batch, str_text(&text));
    return true;
}

static bool quarantine_all(struct worker *w, struct via *v, struct err *err)
{
    for (int i = 0; i < v->n; i++) {
        AUTO(err) why = {0};

        if (!v->rows[i].bad || v->rows[i].is_told)
            continue;
        v->rows[i].is_told = true;
        err_set(&why, ERR_SQL, "%s", v->rows[i].bad);
        memcpy(why.sqlstate, v->rows[i].sqlstate, sizeof why.sqlstate);
        if (!quarantine_row(w, &w->batch, v->rows[i].key, &why, err))
            return false;
    }
    return true;
}

bool via_ask(struct worker *w, const char *sql, const struct db_params *at, struct via *out,
             struct err *err)
{
    int n_keys = w->crew->walk.n_keys;
    struct db_rows rows = {0};
    struct via v = {0};

    if (!db_query(w->db, &w->batch, sql, at, &rows, err))
        return false;
    v.n = rows.n_rows;
    v.rows = arena_array(&w->batch, struct via_row, v.n + 1);
    for (int i = 0; i < v.n; i++)
        v.rows[i] = (struct via_row) {.key = rows.cell[i],
                                      .seen = db_cell(&rows, i, n_keys),
                                      .told = db_cell(&rows, i, n_keys + 1)};
    if (!ask_all(w, &v, err) || !quarantine_all(w, &v, err) ||
        !parameter(w, &v, 0, v.n, &v.said, err))
        return false;
    *out = v;
    return true;
}

/* ---- whose fault it is ------------------------------------------------------------------------------------------ */

struct search {
    struct worker *w;
    const char *fill;
    const struct db_params *at;
    struct via *v;
    int found;
};

static bool try_rows(struct search *s, int from, int to, struct err *err)
{
    struct db_call calls[3] = {
        {.sql = "BEGIN"}, {.sql = s->fill, .params = *s->at}, {.sql = "ROLLBACK"}};
    const char *said = NULL;
    AUTO(err) ignored = {0};
    int done = 0;

    if (!parameter(s->w, s->v, from, to, &said, err))
        return false;
    calls[1].params.value[calls[1].params.n++] = said;
    if (db_pipeline(s->w->db, &s->w->batch, calls, 3, NULL, &done, err))
        return true;
    if (db_is_usable(s->w->db))
        (void) !db_exec(s->w->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
    return false;
}

static void blame(struct search *s, int row, const struct err *why)
{
    set_bad(&s->v->rows[row], why->sqlstate, arena_strdup(&s->w->batch, str_text(&why->message)));
    s->found++;
}

/* Each half goes by itself: the first row that doesn't go with those before it. */
static bool find_clash(struct search *s, int from, int to, struct err *err)
{
    int good = from + 1, bad = to;
    AUTO(err) last = {0};

    while (bad - good > 0) {
        int middle = good + (bad - good) / 2;
        AUTO(err) why = {0};

        if (try_rows(s, from, middle, &why)) {
            good = middle + 1;
            continue;
        }
        bad = middle;
        err_move(&last, &why);
        if (failure_of(last.sqlstate) != FAILURE_DATA) {
            err_move(err, &last);
            return false;
        }
    }
    if (last.kind == ERR_NONE && try_rows(s, from, bad, &last))
        return true; /* not any more */
    blame(s, bad - 1, &last);
    return true;
}

/* Halves, to the depth of a batch's number of rows in binary; again until all that is left goes. */
static bool find_bad(struct search *s, int from, int to, struct err *err)
{
    while (from < to) {
        AUTO(err) why = {0};
        int before = s->found, middle = from + (to - from) / 2;

        if (try_rows(s, from, to, &why))
            return true;
        if (failure_of(why.sqlstate) != FAILURE_DATA) {
            err_move(err, &why);
            return false;
        }
        if (to - from == 1) {
            blame(s, from, &why);
            return true;
        }
        if (!find_bad(s, from, middle, err) || !find_bad(s, middle, to, err) ||
            (s->found == before && !find_clash(s, from, to, err)))
            return false;
        if (s->found == before)
            return true;
    }
    return true;
}

bool via_blame(struct worker *w, const char *fill, const struct db_params *at, struct via *v,
               struct err *why)
{
    struct search s = {.w = w, .fill = fill, .at = at, .v = v};
    AUTO(err) second = {0};

    if (failure_of(why->sqlstate) != FAILURE_DATA || strstr(str_text(&why->message), WALK_TAKEN))
        return false;
    if (!find_bad(&s, 0, v->n, &second) || (s.found > 0 && !quarantine_all(w, v, &second)) ||
        (s.found > 0 && !parameter(w, v, 0, v->n, &v->said, &second))) {
        err_move(why, &second);
        return false;
    }
    if (s.found == 0)
        return false;
    err_clear(why);
    return true;
}

/* ---- what was left ------------------------------------------------------------------------------------------------ */

static void add_key(struct db_params *p, const char *const *key, int n)
{
    for (int i = 0; key && i < n; i++)
        p->value[p->n++] = key[i];
}

static bool has_changed(struct err *err)
{
    err_set(err, ERR_LOCK_TIMEOUT, "rows change while the program is asked for them");
    memcpy(err->sqlstate, "55P03", sizeof err->sqlstate);
    return false;
}

bool via_range(struct worker *w, const struct key_range *r, const struct db_params *marks,
               int64_t *changed, struct err *err)
{
    const struct via_sql *sql = &w->crew->sql.via;
    struct db_params at = {0}, p;
    struct db_rows rows = {0};
    struct via v = {0};

    add_key(&at, (const char *const *) r->lo, w->crew->walk.n_keys);
    add_key(&at, (const char *const *) r->hi, w->crew->walk.n_keys);
    if (!via_ask(w, sql->read[!r->lo], &at, &v, err))
        return false;
    do {
        p = at;
        add_key(&p, marks->value, marks->n);
        p.value[p.n++] = v.said;
        if (db_query(w->db, &w->batch, sql->residual[!r->lo], &p, &rows, err)) {
            *changed = strtoll(db_cell(&rows, 0, 0), NULL, 10);
            return strcmp(db_cell(&rows, 0, 1), "0") == 0 || has_changed(err);
        }
    } while (via_blame(w, sql->fill[!r->lo], &at, &v, err));
    return false;
}

bool via_one(struct worker *w, const char *const *key, bool *filled, struct err *err)
{
    const struct via_sql *sql = &w->crew->sql.via;
    struct db_params at = {0};
    struct db_rows rows = {0};
    struct via v = {0};

    add_key(&at, key, w->crew->walk.n_keys);
    if (!via_ask(w, sql->read_row, &at, &v, err))
        return false;
    *filled = false;
    if (v.n == 0)
        return true;
    if (v.rows[0].bad) {
        err_set(err, ERR_SQL, "%s", v.rows[0].bad);
        memcpy(err->sqlstate, "22000", sizeof err->sqlstate); /* a row's fault */
        return false;
    }
    at.value[at.n++] = v.said;
    if (!db_query(w->db, &w->batch, sql->row, &at, &rows, err))
        return false;
    *filled = strcmp(db_cell(&rows, 0, 0), "0") != 0;
    return *filled || strcmp(db_cell(&rows, 0, 1), "0") == 0 || has_changed(err);
}
