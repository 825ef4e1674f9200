/* W: whichever way a flag says, a call must give the same answer, whatever was written before by whichever branch of
 * whichever live release.
 */
#include "check/writes.h"
#include "check/ops.h"
#include "check/synced.h"

#include <stdlib.h>

#define KEYS_MAX 4

/* Can they write one after the other, and the pair be asked then? */
static bool can_follow(const struct sequence *seq, const struct pair_of *q)
{
    int now = 0;

    for (int i = 0; i < seq->n; i++) {
        if (seq->writers[i]->last < now)
            return false;
        now = seq->writers[i]->first > now ? seq->writers[i]->first : now;
    }
    return q->last >= now;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static void add_written(struct str *sql, const struct cat_relation *r, const struct cat_column *c)
{
    str_add(sql, "SELECT ");
    sql_ident(sql, c->name);
    str_add(sql, "::pg_catalog.text FROM ");
    sql_qualified(sql, r->schema, r->name);
    str_add(sql, " WHERE xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid AND ");
    sql_ident(sql, c->name);
    str_add(sql, " IS NOT NULL");
}

struct key {
    const struct cat_relation *r;
    const struct cat_column *c;
    int param;
};

/* The column by which a reader picks its row, and the table that it's of. */
static bool key_of(struct proof *p, const struct app_statement *a, struct key *out)
{
    for (int n = 1; n <= a->q->sets[0].n; n++) {
        out->c = args_compared(p, a->q, n, &out->r);
        out->param = n;
        if (out->c)
            return true;
    }
    return false;
}

/* Keys of the rows that this transaction wrote, on either side. */
static const char *written_sql(struct proof *p, const struct key *a, const struct key *b)
{
    AUTO(str) sql = {0};

    add_written(&sql, a->r, a->c);
    str_add(&sql, " UNION ");
    add_written(&sql, b->r, b->c);
    str_addf(&sql, " ORDER BY 1 LIMIT %d", KEYS_MAX);
    return arena_strdup(p->scratch, str_text(&sql));
}

/* "7.50" and "7.5": up to where they are one number; 0: it is none. */
static size_t number_length(const char *s)
{
    size_t n = strspn(s, "-0123456789."), last = n;

    if (n == 0 || s[n])
        return 0;
    while (strchr(s, '.') && last > 0 && s[last - 1] == '0')
        last--;
    return last > 0 && s[last - 1] == '.' ? last - 1 : last;
}

/* Of another type the same number has other digits behind the point. */
static bool same_number(const char *a, const char *b)
{
    size_t n = number_length(a);

    return n > 0 && n == number_length(b) && strncmp(a, b, n) == 0;
}

static bool same_row(const struct wire_result *x, int i, const struct wire_result *y, int k,
                     bool by_value)
{
    for (int c = 0; c < x->n_columns; c++) {
        const char *a = x->cell[i][c], *b = y->cell[k][c];
        if (!a || !b ? a != b : strcmp(a, b) != 0 && !(by_value && same_number(a, b)))
            return false;
    }
    return true;
}

/* The same rows; in the same order only where both ask for one. by_value: however its numbers are spelled. */
static bool same_rows(const struct wire_result *x, const struct wire_result *y, bool ordered,
                      bool by_value)
{
    bool *used;
    bool same = x->n_rows == y->n_rows && x->n_columns == y->n_columns;

    if (!same)
        return false;
    used = calloc((size_t) y->n_rows + 1, sizeof *used);
    for (int i = 0; same && i < x->n_rows; i++) {
        bool found = false;
        for (int k = ordered ? i : 0; !found && k < (ordered ? i + 1 : y->n_rows); k++)
            if (!used[k] && same_row(x, i, y, k, by_value))
                used[k] = found = true;
        same = found;
    }
    free(used);
    return same;
}

/* The row that makes the difference. */
const char *writes_row_words(struct proof *p, const struct wire_result *r,
                             const struct wire_result *other)
{
    AUTO(str) s = {.ceiling = 200};
    int row = -1;

    if (r->n_rows == 0)
        return "nothing";
    for (int i = 0; i < r->n_rows && row < 0 && r->n_columns == other->n_columns; i++) {
        row = i;
        for (int k = 0; k < other->n_rows && row == i; k++)
            if (same_row(r, i, other, k, false))
                row = -1;
    }
    if (row < 0 && r->n_rows < other->n_rows)
        return "no such row";
    row = row < 0 ? 0 : row;
    for (int c = 0; c < r->n_columns; c++)
        str_addf(&s, "%s%s", c ? ", " : "(", r->cell[row][c] ? r->cell[row][c] : "NULL");
    str_add(&s, r->n_rows > 1 ? "), ..." : ")");
    return arena_strdup(p->a, str_text(&s));
}

const char *writes_when_words(struct proof *p, const struct statement *s)
{
    AUTO(str) t = {0};

    for (int i = 0; i < s->n_when; i++)
        str_addf(&t, "%s%s=%s", i ? ", " : "", s->when[i].flag, s->when[i].on ? "on" : "off");
    return arena_strdup(p->a, str_text(&t));
}

static const char *sequence_words(struct proof *p, const struct sequence *q)
{
    AUTO(str) s = {0};

    if (q->n == 0)
        return "for a row from before";
    for (int i = 0; i < q->n; i++) {
        const struct writer *w = q->writers[i];
        const struct statement *flagged = w->items[0]->s;

        str_addf(&s, "%s%s of %s", i ? " and then " : "after ",
                 w->n > 1 ? w->items[0]->s->tx : w->items[0]->s->name,
                 p->t.releases[w->items[0]->release].version);
        for (int m = 0; m < w->n && !flagged->n_when; m++)
            flagged = w->items[m]->s;
        if (flagged->n_when)
            str_addf(&s, " (%s)", writes_when_words(p, flagged));
    }
    return arena_strdup(p->a, str_text(&s));
}

/* ---- findings ------------------------------------------------------------------------------------------------------ */

/* Where the flag that brings the second answer is raised. */
static struct pos raised_at(const struct proof *p, const struct app_statement *a,
                            const struct app_statement *b, const struct plan **out,
                            const char **phase)
{
    for (int i = 0; i < p->t.n_plans; i++)
        for (int r = 0; r < FLAG_ROLES; r++) {
            const struct plan *plan = p->t.plans[i];
            const struct phase_plan *ph =
                &plan->phases[r == FLAG_READ ? PHASE_DUAL_READ : PHASE_WRITE_ACTIVATION];
            for (int k = 0; plan->flags[r].key.s && k < a->s->n_when + b->s->n_when; k++) {
                const struct statement_when *w =
                    k < a->s->n_when ? &a->s->when[k] : &b->s->when[k - a->s->n_when];
                if (strcmp(w->flag, plan->flags[r].key.s) != 0)
                    continue;
                *out = plan;
                *phase = phase_word(r == FLAG_READ ? PHASE_DUAL_READ : PHASE_WRITE_ACTIVATION);
                return ph->rollout.n ? ph->rollout.items[0].at : plan->flags[r].at;
            }
        }
    return a->s->at;
}

static bool is_of_the_past(const struct sequence *q)
{
    bool past = q->n == 0;

    for (int i = 0; i < q->n; i++)
        past |= q->writers[i]->before_sync;
    return past;
}

/* Did the trigger see all that was written? Then it's the trigger that doesn't keep both sides. */
static bool is_the_syncs(const struct scene *s, const struct sequence *q, const struct plan *plan)
{
    bool all = plan && q->n > 0 && !is_of_the_past(q) && sync_is_on(s->p, s->state, plan);

    for (int i = 0; all && i < q->n; i++)
        for (int m = 0; all && m < q->writers[i]->n; m++) {
            const struct statement_facts *f = &q->writers[i]->items[m]->q->facts;
            for (int k = 0; all && k < f->n_writes; k++)
                all = strcmp(f->writes[k].table, plan->sync.table.s) == 0;
        }
    return all;
}

/* Does it hang on values of our own making which of one transaction's statements agree? */
static bool is_made_up(const struct sequence *q)
{
    bool made = false;

    for (int i = 0; i < q->n; i++)
        for (int m = 0; q->writers[i]->n > 1 && m < q->writers[i]->n; m++) {
            const struct arg_set *set = &q->writers[i]->items[m]->q->sets[0];
            made |= set->n > 0 && !set->is_given;
        }
    return made;
}

static void report_stale(struct scene *s, const struct pair_of *q, const struct sequence *seq,
                         const struct wire_result *x, const struct wire_result *y)
{
    struct proof *p = s->p;
    const struct plan *plan = NULL;
    const char *phase = NULL;
    struct pos at = raised_at(p, q->a, q->b, &plan, &phase);
    bool by_sync = is_the_syncs(s, seq, plan);
    struct finding *f = report_add(
        p->report, by_sync ? "sync-trigger-asymmetric" : "stale-new-value", at,
        "%s, %s of %s answers %s when %s and %s when %s", sequence_words(p, seq), q->a->s->name,
        release_words(p, q->a->release), writes_row_words(p, x, y), writes_when_words(p, q->a->s),
        writes_row_words(p, y, x), writes_when_words(p, q->b->s));

    f->level = "statement";
    f->kind = "rolling";
    f->probe = "W";
    f->plan = plan ? plan->id.s : NULL;
    f->phase = phase;
    f->release = p->t.releases[q->a->release].version;
    f->statement = q->a->s->name;
    f->help =
        by_sync && plan->sync.reverse.n == 0
            ? "the sync has no reverse:, and what is written to the new side never comes to the "
              "old one: give it one"
        : by_sync
            ? "forward and reverse of sync have to undo each other for every value that is written"
        : is_of_the_past(seq)
            ? "fill the past before the read flag's first rung, or fall back to the "
              "old column where the "
              "new one is empty"
        : is_made_up(seq)
            ? "both sides must be kept by every writer: a sync trigger, or writers of both; the "
              "values of a transaction's statements were made up here: -- args: for each of them "
              "says which they have in common; or -- differs: says why the answers may differ"
            : "both sides must be kept by every writer: a sync trigger, or writers "
              "of both; or -- differs: "
              "says why the answers may differ";
    place_add(p, f, q->a);
    place_add(p, f, q->b);
}

/* ---- a sequence ---------------------------------------------------------------------------------------------------- */

static void add_reads(struct scene *s, struct ops *o, const struct pair_of *q,
                      const struct arg_set *x, const struct arg_set *y)
{
    (void) s;
    ops_add(o, "SAVEPOINT w", NULL, false, false);
    ops_add(o, q->a->q->sql, x, true, false);
    ops_add(o, q->b->q->sql, y, true, true);
    ops_add(o, "ROLLBACK TO SAVEPOINT w", NULL, false, true);
}

static int newest_writer(const struct proof *p, const struct sequence *seq)
{
    int newest = -1;

    for (int i = 0; i < seq->n; i++) {
        int release = seq->writers[i]->items[0]->release;
        if (!p->t.releases[release].is_consumer && release > newest)
            newest = release;
    }
    return newest;
}

static bool judge_reads(struct scene *s, int pair, const struct sequence *seq,
                        const struct wire_result *r)
{
    const struct pair_of *q = &s->pairs[pair];
    bool ordered = q->a->q->facts.has_order_by && q->b->q->facts.has_order_by;

    if (!r[1].ok || !r[2].ok || r[1].skipped || r[2].skipped ||
        same_rows(&r[1], &r[2], ordered, q->is_across))
        return false;
    s->culprit = newest_writer(s->p, seq);
    if (s->trial < 0 && !s->quiet && seq->odd)
        mapped_report(s, q, seq->odd, &r[1], &r[2]);
    else if (s->trial < 0 && !s->quiet)
        report_stale(s, q, seq, &r[1], &r[2]);
    return true;
}

static const struct arg_set *with_value(struct proof *p, const struct arg_set *from, int param,
                                        const char *value)
{
    struct arg_set *set = arena_new(p->scratch, struct arg_set);

    *set = (struct arg_set) {arena_array(p->scratch, const char *, from->n + 1), from->n, false};
    memcpy(set->values, from->values, sizeof *set->values * (size_t) set->n);
    set->values[param - 1] = value;
    return set;
}

/* agreed: values that were made up are the same throughout a transaction. True: they were not before. */
static bool add_writers(struct proof *p, struct ops *o, const struct sequence *seq, bool agreed)
{
    bool differ = false;

    if (seq->odd && seq->odd->sql) {
        struct arg_set *set = arena_new(p->scratch, struct arg_set);
        *set = (struct arg_set) {.values = arena_array(p->scratch, const char *, 1), .n = 1};
        set->values[0] = seq->odd->value;
        ops_add(o, seq->odd->sql, set, false, false);
    }
    for (int i = 0; i < seq->n; i++) {
        /* The sync's trigger looks at it. */
        ops_add(o,
                seq->writers[i]->before_sync ? "SET LOCAL phasegate.backfill = 'on'"
                                             : "SET LOCAL phasegate.backfill = 'off'",
                NULL, false, false);
        const struct writer *w = seq->writers[i];
        const struct arg_set *sets = args_agreed(p, w->items, w->n, &differ);
        for (int m = 0; m < w->n; m++) {
            const struct arg_set *set = agreed ? &sets[m] : &w->items[m]->q->sets[0];
            if (seq->odd && i == seq->n - 1 && seq->odd->a == w->items[m])
                set = with_value(p, set, seq->odd->param, seq->odd->value);
            ops_add(o, w->items[m]->q->sql, set, false, false);
        }
    }
    return differ;
}

static int room_for(const struct sequence *seq)
{
    int n = 8;

    for (int i = 0; i < seq->n; i++)
        n += seq->writers[i]->n + 1;
    return n;
}

/* What was written may be other rows than those that the readers' arguments name. */
static bool read_keys(struct scene *s, int pair, const struct sequence *seq, const struct key *ka,
                      const struct key *kb, const struct wire_result *keys, struct err *err)
{
    struct proof *p = s->p;
    const struct pair_of *q = &s->pairs[pair];

    for (int k = 0; !s->told[pair] && k < keys->n_rows; k++) {
        struct ops more = {arena_array(p->scratch, struct wire_op, 8), 0};
        struct wire_result *got = arena_array(p->scratch, struct wire_result, 8);
        add_reads(s, &more, q, with_value(p, &q->a->q->sets[0], ka->param, keys->cell[k][0]),
                  with_value(p, &q->b->q->sets[0], kb->param, keys->cell[k][0]));
        if (!wire_run(p->sessions[q->a->q->session].wire, p->scratch, more.op, more.n, got, err))
            return lost_note(p, more.op, more.n, got);
        s->told[pair] = judge_reads(s, pair, seq, got);
    }
    return true;
}

static bool run_once(struct scene *s, int pair, const struct sequence *seq, bool agreed, bool *ran,
                     bool *differ, struct err *err)
{
    struct proof *p = s->p;
    const struct pair_of *q = &s->pairs[pair];
    struct key ka = {0}, kb = {0};
    bool by_key = key_of(p, q->a, &ka) && key_of(p, q->b, &kb) && seq->n > 0 &&
                  ka.c->category == kb.c->category;
    struct ops o = {arena_array(p->scratch, struct wire_op, room_for(seq)), 0};
    struct wire_result *r = arena_array(p->scratch, struct wire_result, room_for(seq));

    ops_add(&o, "ROLLBACK", NULL, false, false);
    ops_add(&o, "BEGIN", NULL, false, false);
    *differ = add_writers(p, &o, seq, agreed);
    int keys_at = o.n;
    ops_add(&o, by_key ? written_sql(p, &ka, &kb) : "SELECT 1 WHERE false", NULL, true, true);
    int reads_at = o.n;
    add_reads(s, &o, q, &q->a->q->sets[0], &q->b->q->sets[0]);
    if (!wire_run(p->sessions[q->a->q->session].wire, p->scratch, o.op, o.n, r, err))
        return lost_note(p, o.op, o.n, r);
    *ran = r[keys_at].ok && !r[keys_at].skipped;
    if (!*ran)
        return true; /* the writers can't follow one another like this */
    s->told[pair] = judge_reads(s, pair, seq, &r[reads_at]);
    return read_keys(s, pair, seq, &ka, &kb, &r[keys_at], err);
}

bool writes_run(struct scene *s, int pair, const struct sequence *seq, struct err *err)
{
    bool ran = true, differ = false;

    if (!can_follow(seq, &s->pairs[pair]))
        return true;
    if (!run_once(s, pair, seq, true, &ran, &differ, err))
        return false;
    return ran || !differ || run_once(s, pair, seq, false, &ran, &differ, err);
}

/* The shortest way to an answer that differs is the one to tell. */
static bool run_pair(struct scene *s, int pair, struct err *err)
{
    struct sequence none = {{NULL, NULL}, 0, NULL};
    int *with = arena_array(s->p->scratch, int, s->n_writers + 1), n = 0;

    if (!writes_run(s, pair, &none, err))
        return false;
    for (int i = 0; i < s->n_writers; i++)
        if (writer_concerns(s->p, &s->writers[i], &s->pairs[pair]))
            with[n++] = i;
    for (int i = 0; i < n && !s->told[pair]; i++) {
        struct sequence one = {{&s->writers[with[i]], NULL}, 1, NULL};
        if (!writes_run(s, pair, &one, err))
            return false;
    }
    for (int i = 0; i < n * n && !s->told[pair]; i++) {
        struct sequence two = {{&s->writers[with[i / n]], &s->writers[with[i % n]]}, 2, NULL};
        if (!writes_run(s, pair, &two, err))
            return false;
    }
    return true;
}

static bool end_all(struct proof *p, struct err *err)
{
    struct wire_result r = {0};
    struct wire_op op = {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true};

    for (int i = 0; i < p->n_sessions; i++)
        if (!wire_run(p->sessions[i].wire, p->scratch, &op, 1, &r, err))
            return false;
    return true;
}

/* Is the call still asked in two ways by that release, and do all who live with it answer it alike? */
static bool is_safe_at(struct proof *p, int state, const char *call, int release, bool *safe,
                       struct err *err)
{
    struct scene s = {.p = p, .state = state, .trial = release};

    *safe = false;
    scene_set(&s);
    for (int i = 0; i < s.n_pairs; i++)
        *safe |= s.pairs[i].a->release == release && strcmp(s.pairs[i].a->s->name, call) == 0;
    for (int i = 0; i < s.n_pairs && *safe; i++) {
        if (!run_pair(&s, i, err))
            return false;
        *safe = !s.told[i];
    }
    return true;
}

/* The first release at which the flag could be raised: by then every writer beside it keeps both sides. Before the
 * release that doesn't, it would only come later. */
static bool cure(struct proof *p, int state, const struct scene *s, const struct pair_of *q,
                 struct finding *f, struct err *err)
{
    const struct plan *plan = f->plan ? plan_find(p->set, f->plan) : NULL;
    int bound =
        plan ? timeline_release_index(&p->t, plan->phases[phase_from_word(f->phase)].release.s) : 0;
    bool safe = false;

    for (int r = s->culprit > bound ? s->culprit : bound + 1; r < p->t.n_releases && !safe; r++) {
        if (p->t.releases[r].is_projected)
            continue;
        if (!is_safe_at(p, state, q->a->s->name, r, &safe, err))
            return false;
        if (safe)
            f->safe_from = p->t.releases[r].version;
    }
    return true;
}

/* Told once: what is stale stays so, in later releases as well. */
static void mark_told(struct proof *p, const struct pair_of *q)
{
    for (int i = 0; i < p->n_app; i++)
        if (p->app[i].s->n_when > 0 && strcmp(p->app[i].s->name, q->a->s->name) == 0 &&
            strcmp(p->app[i].s->when[0].flag, q->a->s->when[0].flag) == 0)
            p->stale[i] = true;
}

bool writes_probe(struct proof *p, int state, struct err *err)
{
    struct scene s = {.p = p, .state = state, .trial = -1};

    scene_set(&s);
    if (s.n_pairs > 0 && !seed_move_sequences(p, 2 * state + 1, err))
        return false;
    for (int i = 0; i < s.n_pairs; i++) {
        if (p->stale[s.pairs[i].a - p->app] || s.pairs[i].is_across)
            continue;
        if (!run_pair(&s, i, err))
            return false;
        if (!s.told[i])
            continue;
        mark_told(p, &s.pairs[i]);
        /* Rows from before stay as they are, however late they are read. */
        if (s.filled &&
            !cure(p, state, &s, &s.pairs[i], &p->report->findings[p->report->n - 1], err))
            return false;
    }
    bool ok = s.n_pairs == 0 || (mapped_probe(&s, err) && end_all(p, err));
    arena_reset(p->scratch);
    return ok;
}
