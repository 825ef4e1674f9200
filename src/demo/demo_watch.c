/* demo_watch: the timeline. What the engine says as it works, and the traffic once a second.
 *
 * On a terminal the line of the second is written over itself; elsewhere it is a line like the others.
 * In json the timeline goes to standard error, in jsonl every line is an event.
 */
#include "demo/demo_int.h"

#include "phasegate/names.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define TICK_MS 1000
#define SLICE_MS 50
#define PHASE_WIDTH 16
#define NARROW 108 /* terminals below it go without the column of the phase: the headings have it */

const char *demo_count(struct arena *a, int64_t n)
{
    const char *digits = arena_printf(a, "%" PRId64, n);
    size_t len = strlen(digits);
    AUTO(str) out = {0};

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            str_addc(&out, ',');
        str_addc(&out, digits[i]);
    }
    return arena_strdup(a, str_text(&out));
}

/* ---- lines ------------------------------------------------------------------------------------------ */

static bool is_wide(const struct out *o)
{
    int width = o->data_tty ? out_columns(o->data) : 0;

    return width == 0 || width >= NARROW;
}

/* Text goes where the data goes; a JSON answer is alone on standard output. */
static void put(struct demo_watch *w, enum out_style s, const char *text)
{
    struct out *o = w->demo->out;

    if (o->verbosity < 0)
        return;
    if (o->format == OUT_JSONL) {
        struct event ev = {.kind = s == STYLE_BAD ? EVENT_WARNING : EVENT_INFO,
                           .plan = w->demo->plan ? w->demo->plan->id.s : NULL,
                           .phase = w->phase,
                           .message = text};
        events_emit(&o->events, &ev);
    } else if (o->format == OUT_JSON) {
        out_say(o, "%s", text);
    } else {
        out_print(o, "%s%s%s\n", s ? out_style(o, s) : "", text,
                  s ? out_style(o, STYLE_PLAIN) : "");
        fflush(o->data);
    }
}

static void add_percent(struct str *to, int percent)
{
    if (percent < 0)
        str_add(to, "     ?");
    else
        str_addf(to, "%5d%%", percent);
}

/* "  41.2s  write_activation   100%   10%    31,442       0   4.1 ms" */
static void add_columns(struct demo_watch *w, bool wide, struct str *to)
{
    AUTO(arena) a = {0};
    const struct demo *d = w->demo;

    str_addf(to, "%5.1fs  ", (double) demo_ms(d) / 1000);
    if (wide)
        str_addf(to, "%-*s", PHASE_WIDTH, w->phase ? w->phase : "");
    add_percent(to, w->percent[FLAG_READ]);
    add_percent(to, w->percent[FLAG_WRITE]);
    str_addf(to, "%10s%8s", demo_count(&a, w->stats.requests), demo_count(&a, w->stats.failed));
    if (w->stats.window_requests > 0)
        str_addf(to, "%9.1f ms", (double) w->stats.window_p99_us / 1000);
    else
        str_addf(to, "%12s", "-");
}

static void put_head(struct demo_watch *w)
{
    AUTO(str) line = {0};

    if (w->has_head || w->demo->out->format == OUT_JSONL)
        return;
    w->has_head = true;
    if (w->demo->out->format == OUT_TEXT)
        put(w, STYLE_PLAIN, "");
    str_addf(&line, "%6s  ", "time");
    if (is_wide(w->demo->out))
        str_addf(&line, "%-*s", PHASE_WIDTH, "phase");
    str_addf(&line, "%6s%6s%10s%8s%12s  what happens", "read", "write", "requests", "failed",
             "p99");
    put(w, STYLE_FAINT, str_text(&line));
}

static void put_line(struct demo_watch *w, enum out_style s, const char *text)
{
    AUTO(str) line = {0};

    if (w->demo->out->format == OUT_JSONL) {
        put(w, s, text);
        return;
    }
    if (w->is_running) {
        put_head(w);
        add_columns(w, is_wide(w->demo->out), &line);
    } else {
        str_addf(&line, "%5.1fs", (double) demo_ms(w->demo) / 1000);
    }
    str_addf(&line, "  %s", text);
    put(w, w->is_running && w->stats.failed > 0 ? STYLE_BAD : s, str_text(&line));
}

void demo_watch_say(struct demo *d, enum out_style s, const char *fmt, ...)
{
    AUTO(str) text = {0};
    AUTO(arena) a = {0};
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&d->watch.lock);
    put_line(&d->watch, s, out_clean(&a, str_text(&text), false));
    pthread_mutex_unlock(&d->watch.lock);
}

void demo_watch_types(struct demo *d, const char *fmt, ...)
{
    AUTO(str) text = {0};
    AUTO(str) line = {0};
    AUTO(arena) a = {0};
    va_list ap;

    str_add(&text, "$ phasegate ");
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&d->watch.lock);
    if (is_wide(d->out) || d->out->format != OUT_TEXT) {
        put_line(&d->watch, STYLE_BOLD, out_clean(&a, str_text(&text), false));
    } else { /* beside the columns it would be broken */
        str_addf(&line, "%5.1fs  %s", (double) demo_ms(d) / 1000, str_text(&text));
        put(&d->watch, STYLE_BOLD, str_text(&line));
    }
    pthread_mutex_unlock(&d->watch.lock);
}

void demo_watch_chapter(struct demo *d, const char *phase, const char *title)
{
    struct demo_watch *w = &d->watch;
    AUTO(str) line = {0};

    pthread_mutex_lock(&w->lock);
    w->phase = phase;
    str_clear(&w->task);
    w->rows_done = w->rows_total = 0;
    if (d->out->format == OUT_TEXT)
        put(w, STYLE_PLAIN, "");
    str_addf(&line, "%s: %s", phase, title);
    put(w, STYLE_BOLD, str_text(&line));
    pthread_mutex_unlock(&w->lock);
}

void demo_watch_intro(struct demo *d)
{
    static const char *const lines[] = {
        "The balances of a shop's accounts outgrow int. Changing the column's type would lock and "
        "rewrite",
        "the table; phasegate takes it to bigint in four phases, one per release, while the shop "
        "is open.",
        "read and write are the percentages of the plan's two flags: who reads and writes the new "
        "column.",
        "",
    };

    pthread_mutex_lock(&d->watch.lock);
    for (size_t i = 0; d->out->format == OUT_TEXT && i < sizeof lines / sizeof *lines; i++)
        put(&d->watch, STYLE_PLAIN, lines[i]);
    pthread_mutex_unlock(&d->watch.lock);
}

void demo_watch_task(struct demo *d, const char *task)
{
    struct demo_watch *w = &d->watch;

    pthread_mutex_lock(&w->lock);
    str_set(&w->task, task);
    w->rows_done = w->rows_total = 0;
    if (!w->is_running)
        out_live(d->out, "%5.1fs  %s", (double) demo_ms(d) / 1000, task);
    pthread_mutex_unlock(&w->lock);
}

/* ---- what the engine says --------------------------------------------------------------------------- */

static void look_at_flags(struct demo_watch *w)
{
    struct demo *d = w->demo;
    AUTO(arena) a = {0};
    struct flag_obs obs[FLAG_ROLES];
    struct flag_ref refs[FLAG_ROLES];

    pthread_mutex_lock(&w->asking);
    struct flag_ops ops = demo_flag_ops(d, &w->hands);
    for (int r = 0; r < FLAG_ROLES; r++)
        refs[r] = (struct flag_ref) {.service = &d->flags,
                                     .key = d->plan->flags[r].key.s,
                                     .bucket_by = d->plan->flags[r].bucket_by.s};
    flag_ops_observe_all(&ops, refs, FLAG_ROLES, FLAG_CONFIGURED, NULL, &a, obs);
    pthread_mutex_lock(&w->lock);
    for (int r = 0; r < FLAG_ROLES; r++)
        w->percent[r] = flag_exposure(obs[r].state, obs[r].percent);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_unlock(&w->asking);
}

static const struct task *find_task(struct demo *d, struct arena *a, const struct event *ev)
{
    struct script script;

    for (int p = PHASE_FIRST; p <= PHASE_LAST; p++) {
        if (!ev->phase || strcmp(ev->phase, phase_word((enum phase) p)) != 0)
            continue;
        plan_script(a, d->plan, (enum phase) p, strncmp(ev->task, "purge/", 6) == 0, &script);
        for (int i = 0; i < script.n; i++)
            if (strcmp(script.tasks[i].id, ev->task) == 0)
                return &script.tasks[i];
    }
    return NULL;
}

static void describe(struct demo *d, const struct task *t, struct str *to)
{
    AUTO(arena) a = {0};

    switch (t->kind) {
    case TASK_STEP: str_addf(to, "%s: %s", t->id, t->title); return;
    case TASK_BACKFILL:
        str_addf(to, "backfill: %s rows", demo_count(&a, d->watch.rows_done));
        return;
    case TASK_SYNC_INSTALL: str_add(to, "sync trigger: both columns are kept equal"); return;
    case TASK_SOFT_DROP: str_addf(to, "%s: hidden; can be restored", t->id); return;
    case TASK_PURGE_DROP: str_addf(to, "%s: dropped for good", t->id + strlen("purge/")); return;
    case TASK_SYNC_REMOVE:
    case TASK_GATES:
    case TASK_RUNG: str_add(to, t->title); return;
    case TASK_VERIFY:
    case TASK_COMPARE: str_addf(to, "%s: passed", t->title); return;
    }
}

static void say_done(struct demo *d, const struct event *ev)
{
    AUTO(arena) a = {0};
    AUTO(str) text = {0};
    const struct task *t = find_task(d, &a, ev);

    if (!t || t->kind == TASK_RUNG) /* the flag's own line has said it */
        return;
    describe(d, t, &text);
    str_add(&text, " (");
    duration_to_text(&text, ev->ms);
    str_add(&text, ")");
    demo_watch_say(d, STYLE_PLAIN, "%s", str_text(&text));
    demo_watch_task(d, "");
}

/* "accounts-balance-read: off, delivered at builtin at http://... after 4 ms": the service is known here. */
static void say_flag(struct demo *d, const struct event *ev)
{
    AUTO(str) shown = {0};
    AUTO(str) text = {0};
    AUTO(str) task = {0};

    str_addf(&shown, " at %s", d->flags.shown);
    const char *at = strstr(ev->message, str_text(&shown));
    str_addn(&text, ev->message, at ? (size_t) (at - ev->message) : strlen(ev->message));
    if (at)
        str_add(&text, at + shown.len);
    look_at_flags(&d->watch);
    demo_watch_say(d, STYLE_PLAIN, "%s", str_text(&text));
    if (at) /* the kill's, in a thread of its own */
        return;
    str_addf(&task, "%s: pause and gates", str_text(&d->watch.task));
    demo_watch_task(d, str_text(&task));
    demo_kill_saw(d, ev->task);
}

static void emit(struct events *events, const struct event *ev)
{
    struct demo_watch *w = (struct demo_watch *) events;
    struct demo *d = w->demo;

    if (d->out->format == OUT_JSONL && ev->kind != EVENT_FLAG) {
        pthread_mutex_lock(&w->lock);
        events_emit(&d->out->events, ev);
        pthread_mutex_unlock(&w->lock);
        return;
    }
    if (ev->kind == EVENT_START) {
        demo_watch_task(d, ev->message ? ev->message : ev->task);
    } else if (ev->kind == EVENT_PROGRESS) {
        pthread_mutex_lock(&w->lock);
        w->rows_total = ev->total;
        w->rows_done = ev->number < ev->total ? ev->number : ev->total;
        pthread_mutex_unlock(&w->lock);
    } else if (ev->kind == EVENT_DONE) {
        say_done(d, ev);
    } else if (ev->kind == EVENT_FLAG) {
        say_flag(d, ev);
    } else if (ev->kind == EVENT_WARNING || ev->kind == EVENT_RETRY) {
        demo_watch_say(d, STYLE_WARN, "%s", ev->message);
    }
}

static const struct events_ops events_ops = {emit};

/* ---- a line a second ---------------------------------------------------------------------------------- */

/* For programs that read events: what people see in columns. */
static void add_words(struct demo_watch *w, struct str *to)
{
    str_addf(to, "; read %d %%, write %d %%, %" PRId64 " requests, %" PRId64 " failed, p99 %.1f ms",
             w->percent[FLAG_READ], w->percent[FLAG_WRITE], w->stats.requests, w->stats.failed,
             (double) w->stats.window_p99_us / 1000);
}

static void tell_second(struct demo_watch *w)
{
    struct out *o = w->demo->out;
    AUTO(str) line = {0};
    AUTO(arena) a = {0};

    str_add(&line, w->task.len ? str_text(&w->task) : "traffic goes on");
    if (w->rows_total > 0)
        str_addf(&line, ": %s of %s rows", demo_count(&a, w->rows_done),
                 demo_count(&a, w->rows_total));
    if (o->format == OUT_JSONL)
        add_words(w, &line);
    if (o->format == OUT_JSONL || !o->messages_tty) {
        put_line(w, STYLE_PLAIN, str_text(&line));
        return;
    }
    AUTO(str) columns = {0};
    add_columns(w, is_wide(o), &columns);
    out_live(o, "%s  %s", str_text(&columns), str_text(&line));
}

static void tick(struct demo_watch *w)
{
    look_at_flags(w);
    pthread_mutex_lock(&w->lock);
    app_sim_snapshot(w->demo->sim, &w->stats);
    tell_second(w);
    pthread_mutex_unlock(&w->lock);
}

static bool is_stopped(struct demo_watch *w)
{
    pthread_mutex_lock(&w->lock);
    bool stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return stop;
}

static void *keep_watching(void *arg)
{
    struct demo_watch *w = arg;
    struct clock *clock = w->hands.clock;
    int64_t next = clock_mono_ms(clock) + TICK_MS;

    while (!is_stopped(w)) {
        if (clock_mono_ms(clock) < next) {
            clock_sleep_ms(clock, SLICE_MS);
            continue;
        }
        tick(w);
        next += TICK_MS;
    }
    return NULL;
}

/* ---- begin and end -------------------------------------------------------------------------------------- */

bool demo_watch_open(struct demo *d, struct err *err)
{
    struct demo_watch *w = &d->watch;

    w->demo = d;
    w->events.ops = &events_ops;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->asking, NULL);
    return demo_hands_open(d, &w->hands, err);
}

bool demo_watch_start(struct demo *d, struct err *err)
{
    struct demo_watch *w = &d->watch;
    sigset_t all, before;

    /* Signals are for the thread that runs the engine. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    w->is_running = pthread_create(&w->thread, NULL, keep_watching, w) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return w->is_running || err_set(err, ERR_UNREACHABLE, "no thread for the timeline");
}

void demo_watch_stop(struct demo *d)
{
    struct demo_watch *w = &d->watch;

    if (!w->is_running)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->is_running = false;
}

void demo_watch_close(struct demo *d)
{
    struct demo_watch *w = &d->watch;

    demo_watch_stop(d);
    demo_hands_close(&w->hands);
    app_sim_stats_free(&w->stats);
    str_free(&w->task);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->asking);
}

void demo_watch_mark(struct demo *d, struct app_sim_stats *out)
{
    pthread_mutex_lock(&d->watch.lock);
    app_sim_snapshot(d->sim, out);
    app_sim_mark(d->sim);
    pthread_mutex_unlock(&d->watch.lock);
}
