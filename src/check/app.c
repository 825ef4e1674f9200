/* The statements of every release, as queries in sessions. */
#include "check/types.h"
#include "check/work.h"

bool description_same(const struct description *a, const struct description *b)
{
    if (a->n_params != b->n_params || a->n_columns != b->n_columns)
        return false;
    for (int i = 0; i < a->n_params; i++)
        if (a->params[i] != b->params[i])
            return false;
    for (int i = 0; i < a->n_columns; i++)
        if (a->columns[i].type != b->columns[i].type ||
            a->columns[i].typmod != b->columns[i].typmod ||
            strcmp(a->columns[i].name, b->columns[i].name) != 0)
            return false;
    return true;
}

/* numeric(p, s): a limit to what is stored. The scale goes along with each value. */
static int scale_of(int typmod) { return typmod < 4 ? -1 : (typmod - 4) & 0x7ff; }

bool description_reads_alike(const struct description *a, const struct description *b)
{
    struct description with = *b;

    if (a->n_columns != b->n_columns)
        return false;
    for (int i = 0; i < a->n_columns; i++) {
        const struct wire_column *x = &a->columns[i], *y = &b->columns[i];
        bool is_limit = x->type == T_VARCHAR ||
                        (x->type == T_NUMERIC && scale_of(x->typmod) == scale_of(y->typmod));

        if (x->type != y->type || strcmp(x->name, y->name) != 0 ||
            (x->typmod != y->typmod && !is_limit))
            return false;
    }
    with.n_columns = a->n_columns;
    with.columns = a->columns;
    return description_same(a, &with);
}

/* A key that no plan declares may say anything at any time. */
bool app_is_possible(const struct proof *p, const struct timeline_world *w,
                     const struct statement *s)
{
    for (int i = 0; i < s->n_when; i++) {
        int f = timeline_flag_index(&p->t, s->when[i].flag);
        if (f >= 0 && !w->either[f] && s->when[i].on)
            return false;
    }
    return true;
}

const char *release_words(struct proof *p, int release)
{
    const struct timeline_release *r = &p->t.releases[release];

    return arena_printf(p->a, "%s %s", r->is_consumer ? "consumer" : "release", r->version);
}

void place_add(struct proof *p, struct finding *f, const struct app_statement *a)
{
    const struct timeline_release *r = &p->t.releases[a->release];

    finding_place(p->report, f, a->s->sql_at, r->version, a->s->name);
    f->places[f->n_places - 1].is_consumer = r->is_consumer;
    f->places[f->n_places - 1].order = a->release;
    if (strcmp(f->rule->id, "cell-untested") == 0)
        p->untested[a - p->app] = true;
}

/* ---- how strict a release's client is ------------------------------------------------------------------ */

/* What each client does by default, from its own documentation; docs/reference/drivers.md has the sources.
 * binary: does it ask for results in binary form, whose bytes mean something only together with the type it saw
 * before? prepared: does it keep statements prepared on the server over a change of the schema? */
static const struct {
    const char *driver;
    bool binary, prepared;
    enum values_sent values;
} drivers[] = {
    {"pgjdbc", true, true, VALUES_TYPED},         {"pgx", true, true, VALUES_TYPED},
    {"npgsql", true, false, VALUES_TYPED},        {"psycopg3", false, true, VALUES_TYPED},
    {"psycopg2", false, false, VALUES_LITERAL},   {"rails", false, true, VALUES_TYPED},
    {"node-pg", false, false, VALUES_UNTYPED},    {"pdo", false, true, VALUES_TYPED},
    {"sqlx", true, true, VALUES_TYPED},           {"asyncpg", true, true, VALUES_TYPED},
    {"libpq", false, false, VALUES_UNTYPED},      {"lib-pq", false, false, VALUES_UNTYPED},
    {"sqlalchemy", false, false, VALUES_LITERAL}, {"django", false, false, VALUES_LITERAL},
    {"ecto", true, true, VALUES_TYPED},           {"tokio-postgres", true, false, VALUES_TYPED},
    {"r2dbc", false, true, VALUES_TYPED},
};

static int driver_find(const char *name)
{
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (strcmp(name, drivers[i].driver) == 0)
            return (int) i;
    return -1;
}

/* A misspelt preset would make a client look harmless. */
static bool check_driver(const struct release *r, struct problem_list *problems, struct err *err)
{
    const char *words[sizeof drivers / sizeof *drivers + 1] = {NULL}, *near;
    AUTO(str) all = {0};

    if (!r || !r->driver.s || driver_find(r->driver.s) >= 0)
        return true;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        words[i] = drivers[i].driver;
        str_addf(&all, "%s%s", i ? ", " : "one of: ", words[i]);
    }
    str_add(&all, ", or {protocol: binary, prepared: true}");
    near = name_nearest(r->driver.s, words);
    AUTO(str) hint = {0};
    if (near)
        str_addf(&hint, "did you mean \"%s\"?", near);
    problem_add(problems, r->driver.at, str_text(&all), near ? str_text(&hint) : NULL,
                "unknown driver \"%s\"", r->driver.s);
    return err_set(err, ERR_INPUT, "unknown driver \"%s\"", r->driver.s);
}

static struct strictness strictness_of(const struct release *r)
{
    bool binary = false, prepared = false;
    enum values_sent values = VALUES_TYPED;

    if (r && r->driver_protocol.s)
        binary = strcmp(r->driver_protocol.s, "binary") == 0;
    if (r)
        prepared = r->driver_prepared;
    int i = r && r->driver.s ? driver_find(r->driver.s) : -1;
    if (i >= 0) {
        binary |= drivers[i].binary;
        prepared |= drivers[i].prepared;
        values = drivers[i].values;
    }
    return (struct strictness) {binary ? SEVERITY_ERROR : SEVERITY_WARNING,
                                prepared ? SEVERITY_ERROR : SEVERITY_WARNING, values};
}

/* ---- sessions -------------------------------------------------------------------------------------------- */

static int session_for(struct proof *p, const struct release *r, const struct statement *s)
{
    const char *role = s->role ? s->role : r->session_role.s;
    const char *path = r->session_search_path.s, *zone = r->session_timezone.s;

    for (int i = 0; i < p->n_sessions; i++)
        if (same_text(p->sessions[i].role, role) && same_text(p->sessions[i].search_path, path) &&
            same_text(p->sessions[i].time_zone, zone))
            return i;
    p->sessions = arena_grow(p->a, p->sessions, sizeof *p->sessions * (size_t) p->n_sessions,
                             sizeof *p->sessions * (size_t) (p->n_sessions + 1));
    p->sessions[p->n_sessions] =
        (struct app_session) {.role = role, .search_path = path, .time_zone = zone};
    return p->n_sessions++;
}

static bool begin(struct proof *p, const struct app_session *s, struct wire **w, struct err *err)
{
    struct wire_options o = {.database = p->database,
                             .role = s->role,
                             .search_path = s->search_path,
                             .time_zone = s->time_zone};

    return *w || wire_begin(p->shadow, &o, w, err);
}

bool session_begin(struct proof *p, struct app_session *s, struct err *err)
{
    return begin(p, s, &s->wire, err);
}

void session_begin_beside(struct proof *p, struct app_session *s)
{
    AUTO(err) ignored = {0};

    for (int i = 0; i < p->n_sessions; i++)
        if (p->sessions[i].beside)
            return;
    if (p->losses->in_one ||
        (begin(p, s, &s->beside, &ignored) && wire_settle(&s->beside, &ignored)))
        return;
    wire_close(s->beside);
    s->beside = NULL;
}

bool sessions_begin(struct proof *p, struct err *err)
{
    for (int i = 0; i < p->n_sessions; i++)
        if (!session_begin(p, &p->sessions[i], err))
            return false;
    return true;
}

bool sessions_open(struct proof *p, struct err *err)
{
    if (!sessions_begin(p, err))
        return false;
    for (int i = 0; i < p->n_sessions; i++)
        if (!wire_settle(&p->sessions[i].wire, err))
            return false;
    return true;
}

void sessions_close(struct proof *p)
{
    for (int i = 0; i < p->n_sessions; i++) {
        wire_close(p->sessions[i].wire);
        wire_close(p->sessions[i].beside);
        p->sessions[i].wire = p->sessions[i].beside = NULL;
    }
    for (int i = 0; i < p->n_queries; i++)
        for (int k = 0; k < p->queries[i].n_holds; k++)
            p->queries[i].holds[k].is_open = false;
}

/* ---- queries --------------------------------------------------------------------------------------------- */

static bool same_args(const struct statement *a, const struct statement *b)
{
    if (a->n_args != b->n_args)
        return false;
    for (int i = 0; i < a->n_args; i++) {
        if (a->args[i].n != b->args[i].n)
            return false;
        for (int k = 0; k < a->args[i].n; k++)
            if (strcmp(a->args[i].items[k].sql, b->args[i].items[k].sql) != 0)
                return false;
    }
    return true;
}

static bool same_types(const struct statement *a, const struct statement *b)
{
    if (a->types.n != b->types.n)
        return false;
    for (int i = 0; i < a->types.n; i++)
        if (strcmp(a->types.items[i].s, b->types.items[i].s) != 0)
            return false;
    return true;
}

/* By text: a table of places, so that a hundred thousand statements don't take their square. */
struct places {
    int *slots;
    size_t n;
};

static uint64_t print_of(const struct statement *s, int session, const char *tx)
{
    return print_text(print_text(PRINT_START, s->dollar_sql), tx) + (uint64_t) session * 31;
}

static struct query *query_for(struct proof *p, struct places *places, const struct statement *s,
                               int session)
{
    size_t at = print_of(s, session, s->tx) % places->n;

    for (; places->slots[at]; at = (at + 1) % places->n) {
        struct query *q = &p->queries[places->slots[at] - 1];
        /* Statements of a transaction run after the others of it, which may differ from release to release. */
        if (q->session == session && !s->tx && !q->s->tx && !sqlc_may_have_stars(s) &&
            !copy_may_go_by_place(s->dollar_sql) && strcmp(q->s->dollar_sql, s->dollar_sql) == 0 &&
            same_args(q->s, s) && same_types(q->s, s))
            return q;
    }
    places->slots[at] = ++p->n_queries;
    struct query *q = &p->queries[p->n_queries - 1];
    *q = (struct query) {
        .s = s, .sql = s->dollar_sql, .session = session, .writes_out = -1, .probed_state = -1};
    q->plan = arena_array(p->a, const struct outcome *, p->t.n_states);
    q->shape = arena_array(p->a, const struct description *, p->t.n_states);
    q->run = arena_array(p->a, const struct outcome *, p->t.n_states);
    q->fresh = arena_array(p->a, bool, p->t.n_states);
    return q;
}

static int first_world(const struct proof *p, int release, const struct statement *s)
{
    for (int i = 0; i < p->t.n_worlds; i++)
        if (world_has_release(&p->t, &p->t.worlds[i], release) &&
            app_is_possible(p, &p->t.worlds[i], s))
            return i;
    return -1;
}

bool app_is_live_from(const struct proof *p, const struct app_statement *a, int state)
{
    for (int i = 0; i < p->t.n_worlds; i++)
        if (p->t.worlds[i].state >= state &&
            world_has_release(&p->t, &p->t.worlds[i], a->release) &&
            app_is_possible(p, &p->t.worlds[i], a->s))
            return true;
    return false;
}

/* ---- loading ------------------------------------------------------------------------------------------------ */

struct loaded {
    struct statements statements;
    const struct release *from;
    bool none; /* listed without statements */
};

static bool load_one(struct arena *a, const char *root, const struct release *r, struct loaded *out,
                     struct problem_list *problems, struct err *err)
{
    out->from = r;
    out->none = r->statements.n == 0;
    return statements_load_release(a, root, r, &out->statements, problems, err);
}

static uint64_t list_print(uint64_t h, const struct text_list *l)
{
    for (int i = 0; i < l->n; i++)
        h = print_text(h, l->items[i].s);
    return print_text(h, NULL);
}

static uint64_t statement_print(uint64_t h, const struct statement *s)
{
    h = print_text(print_text(print_text(h, s->name), s->dollar_sql), s->tx);
    h = print_text(print_text(print_text(h, s->role), s->differs), s->result);
    for (int i = 0; i < s->knows.n; i++)
        h = print_text(print_text(h, s->knows.items[i].key.s), s->knows.items[i].value.s);
    h = list_print(print_text(h, NULL), &s->allow);
    for (int i = 0; i < s->n_when; i++)
        h = print_text(h, s->when[i].flag) + s->when[i].on;
    h = list_print(print_text(h, NULL), &s->types);
    for (int i = 0; i < s->n_args; i++) {
        for (int k = 0; k < s->args[i].n; k++)
            h = print_text(h, s->args[i].items[k].sql);
        h = print_text(h, NULL);
    }
    return print_text(h, NULL);
}

/* Behind those before it: which release is live beside which hangs on their order. */
static uint64_t release_print(uint64_t before, const struct release *r, bool is_consumer,
                              const struct statements *s)
{
    uint64_t h = print_text(print_text(before, r->version.s), r->session_role.s);

    h = print_text(h, is_consumer ? "consumer" : "release");
    h = print_text(print_text(h, r->driver.s), r->driver_protocol.s) + r->driver_prepared;
    h = print_text(print_text(h, r->session_search_path.s), r->session_timezone.s);
    for (int i = 0; i < s->n; i++)
        h = statement_print(h, &s->items[i]);
    return h;
}

static bool add_print(const struct project *p, const struct release *r, bool is_consumer,
                      struct arena *a, uint64_t *print, struct problem_list *problems,
                      struct err *err)
{
    struct loaded l = {0};

    if (!load_one(a, p->root, r, &l, problems, err))
        return false;
    if (!l.none)
        *print = release_print(*print, r, is_consumer, &l.statements);
    return true;
}

bool check_statements_print(const struct project *p, struct arena *a, const char **out,
                            struct problem_list *problems, struct err *err)
{
    uint64_t print = PRINT_START;

    for (int i = 0; i < p->n_releases; i++)
        if (!add_print(p, &p->releases[i], false, a, &print, problems, err))
            return false;
    for (int i = 0; i < p->n_consumers; i++)
        if (!add_print(p, &p->consumers[i], true, a, &print, problems, err))
            return false;
    *out = arena_printf(a, "%016llx", (unsigned long long) print);
    return true;
}

static uint64_t pairs_print(uint64_t h, const struct pair_list *l)
{
    for (int i = 0; i < l->n; i++)
        h = print_text(print_text(h, l->items[i].key.s), l->items[i].value.s);
    return print_text(h, NULL);
}

const char *check_policy_print(const struct project *p, struct arena *a)
{
    uint64_t h = pairs_print(PRINT_START, &p->policy.rules);

    return print_hex(a, pairs_print(h, &p->policy.approvers));
}

/* A release that isn't written yet is taken to run what the newest one before it runs. */
static bool load_releases(struct proof *p, struct loaded *all, struct problem_list *problems,
                          struct err *err)
{
    int n = p->t.n_releases + p->t.n_consumers, newest = -1;

    p->statements_print = PRINT_START;
    for (int i = 0; i < n; i++) {
        const struct timeline_release *r = &p->t.releases[i];

        if (r->is_projected && !(r->listed && r->listed->statements.n > 0)) {
            if (newest >= 0)
                all[i] = all[newest];
            all[i].none = false;
            continue;
        }
        if (!load_one(p->a, p->set->project.root, r->listed, &all[i], problems, err))
            return false;
        if (!all[i].none)
            p->statements_print =
                release_print(p->statements_print, r->listed, r->is_consumer, &all[i].statements);
        if (!r->is_consumer && all[i].statements.n > 0)
            newest = i;
    }
    return true;
}

static void report_none(struct proof *p, const struct timeline_release *r, bool no_files)
{
    struct finding *f = report_add(p->report, "cell-untested", r->listed->at,
                                   "%s %s has no statements: nothing is known of what it runs",
                                   r->is_consumer ? "consumer" : "release", r->version);

    f->release = r->version;
    f->help = no_files ? "list its files in statements:, or mark it planned: true"
                       : "the files of its statements: hold none: write them, or list others";
}

/* They take as long as the server takes to start, and are needed when it's asked the first time. */
static void begin_facts(struct proof *p)
{
    const struct statement **of = arena_array(p->a, const struct statement *, p->n_queries + 1);
    struct statement_facts **out = arena_array(p->a, struct statement_facts *, p->n_queries + 1);
    int n = 0;

    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];

        if (cache_facts(p, q->s, &q->facts))
            continue;
        of[n] = q->s;
        out[n++] = &q->facts;
    }
    p->facts_work = statement_facts_begin(of, out, n);
}

/* COPY (SELECT ...) TO: its rows are those of the query, and so is all that is known of it. */
static void take_copied(struct proof *p, struct query *q)
{
    const struct fact_copy *c = q->facts.copy;
    struct statement as = *q->s;

    if (!c || !c->query || c->is_from)
        return;
    as.dollar_sql = c->query;
    statement_facts(p->a, &as, &q->facts);
    q->facts.copy = c;
    q->is_reworded = true;
}

void app_settle(struct proof *p)
{
    if (!p->facts_work)
        return;
    statement_facts_end(p->facts_work, p->a);
    p->facts_work = NULL;
    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        const char *instead = stand_in(p->a, &q->facts);

        take_copied(p, q);
        q->is_run_alone = q->facts.parsed && (q->facts.is_utility || !q->facts.is_one_statement);
        q->is_stand_in = instead != NULL;
        q->sql = instead ? instead : q->sql;
        stand_in_note(q);
        q->is_lethal = lost_is_lethal(p, q);
    }
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (a->first_world >= 0 && (sqlc_has_stars(a->q) || copy_goes_by_place(a->q)))
            a->q->writes_out = p->t.worlds[a->first_world].state;
    }
}

static void add_app(struct proof *p, struct places *places, int release, const struct loaded *l)
{
    for (int i = 0; i < l->statements.n; i++) {
        const struct statement *s = &l->statements.items[i];
        struct app_statement *a = &p->app[p->n_app++];

        *a = (struct app_statement) {.s = s, .release = release, .hold = -1};
        a->q = query_for(p, places, s, session_for(p, l->from, s));
        a->first_world = first_world(p, release, s);
    }
}

static bool contradict(const struct statement *a, const struct statement *b)
{
    for (int i = 0; i < a->n_when; i++)
        for (int k = 0; k < b->n_when; k++)
            if (a->when[i].on != b->when[k].on && strcmp(a->when[i].flag, b->when[k].flag) == 0)
                return true;
    return false;
}

/* Can the statement join those that were chosen to come before a? One variant of a call does: the first one. */
static bool goes_before(const struct app_statement *s, const struct app_statement *a)
{
    if (!s->s->tx || strcmp(s->s->tx, a->s->tx) != 0 || contradict(s->s, a->s) ||
        strcmp(s->s->name, a->s->name) == 0)
        return false;
    for (int i = 0; i < a->q->n_before; i++)
        if (contradict(s->s, a->q->before[i]->s) ||
            strcmp(s->s->name, a->q->before[i]->s->name) == 0)
            return false;
    return true;
}

/* What comes before a statement in its transaction: those of the same release and group above it, of which the
 * flags of all can hold. */
static void find_transactions(struct proof *p)
{
    for (int i = 0; i < p->n_app; i++) {
        struct app_statement *a = &p->app[i];
        int first = i;

        if (!a->s->tx)
            continue;
        while (first > 0 && p->app[first - 1].release == a->release)
            first--;
        a->q->before = arena_array(p->a, struct query *, i - first + 1);
        for (int k = first; k < i; k++)
            if (goes_before(&p->app[k], a)) {
                a->q->before[a->q->n_before++] = p->app[k].q;
                p->app[k].q->goes_on = true;
            }
    }
}

bool app_load(struct proof *p, struct problem_list *problems, struct err *err)
{
    int n = p->t.n_releases + p->t.n_consumers, total = 0;
    struct loaded *all = arena_array(p->a, struct loaded, n + 1);

    if (!load_releases(p, all, problems, err))
        return false;
    for (int i = 0; i < n; i++)
        if (!check_driver(p->t.releases[i].listed, problems, err))
            return false;
    p->strict = arena_array(p->a, struct strictness, n + 1);
    for (int i = 0; i < n; i++) {
        total += all[i].statements.n;
        p->strict[i] = strictness_of(all[i].from);
        if (all[i].none || (all[i].statements.n == 0 && !p->t.releases[i].is_projected))
            report_none(p, &p->t.releases[i], all[i].none);
        if (p->o->suppressions && p->t.releases[i].listed == all[i].from)
            suppress_read_statements(p->o->suppressions, p->report, &p->set->project,
                                     p->t.releases[i].version, &all[i].statements);
    }
    p->app = arena_array(p->a, struct app_statement, total + 1);
    p->untested = arena_array(p->a, bool, total + 1);
    p->queries = arena_array(p->a, struct query, total + 1);
    struct places places = {NULL, (size_t) total * 2 + 17};
    places.slots = arena_array(p->a, int, places.n);
    for (int i = 0; i < n; i++)
        add_app(p, &places, i, &all[i]);
    begin_facts(p);
    find_transactions(p);
    p->report->summary.statements = total;
    return true;
}
