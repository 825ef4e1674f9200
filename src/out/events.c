/* What the engine says while it works: lines and a bar for people, a stream of objects for programs. */
#include "out_int.h"
#include "phasegate/names.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_EVERY_MS 60000
#define BAR_CELLS 20

static const char *const words[] = {
    [EVENT_INFO] = "info", [EVENT_WARNING] = "warning",   [EVENT_START] = "start",
    [EVENT_DONE] = "done", [EVENT_SKIPPED] = "skipped",   [EVENT_RETRY] = "retry",
    [EVENT_WAIT] = "wait", [EVENT_PROGRESS] = "progress", [EVENT_FLAG] = "flag",
};

void out_bar_clear(struct out *o)
{
    if (!o->bar_shown)
        return;
    fputs("\r\033[K", o->messages);
    o->bar_shown = false;
}

/* "[20261121031837123-1a2b3c4d] (3 of 7) orders-external-ref expand " */
static void prefix(const struct out *o, const struct event *ev, struct str *to)
{
    if (o->run_id && (!o->messages_tty || o->verbosity > 0))
        str_addf(to, "[%s] ", o->run_id);
    if (ev->total > 0 && ev->kind != EVENT_PROGRESS)
        str_addf(to, "(%" PRId64 " of %" PRId64 ") ", ev->number, ev->total);
    if (ev->plan)
        str_addf(to, "%s ", ev->plan);
    if (ev->phase)
        str_addf(to, "%s ", ev->phase);
}

static void sentence(const struct event *ev, struct str *to)
{
    size_t n = ev->task ? strlen(ev->task) : 0;
    bool said =
        ev->message && n && strncmp(ev->message, ev->task, n) == 0 && strchr(": ", ev->message[n]);

    if (ev->task && !said)
        str_add(to, ev->task);
    if (ev->task && !said && ev->message && ev->message[0])
        str_add(to, ": ");
    if (ev->message)
        str_add(to, ev->message);
}

static void numbers(const struct event *ev, struct str *to)
{
    if (ev->total > 0)
        str_addf(to, "%" PRId64 " of %" PRId64 " rows", ev->number, ev->total);
    else
        str_addf(to, "%" PRId64 " rows", ev->number);
    if (ev->rate > 0)
        str_addf(to, ", %.0f/s", ev->rate);
    if (ev->rate > 0 && ev->total > ev->number) {
        double ms = (double) (ev->total - ev->number) / ev->rate * 1000;

        str_add(to, ", ETA ");
        duration_to_text(to, ms < 1000 ? 1000 : (int64_t) (ms / 1000) * 1000);
    }
    if (ev->fill && ev->fill->reason)
        str_addf(to, ", %s: %s", ev->fill->level, ev->fill->reason);
    if (ev->fill && ev->fill->failed > 0)
        str_addf(to, ", %" PRId64 " can't be filled", ev->fill->failed);
}

static int columns(void)
{
    struct winsize w;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

/* One line that is written over itself; cut to the terminal, or it would wrap and stay. */
static void bar(struct out *o, const struct event *ev)
{
    AUTO(str) line = {0};
    AUTO(arena) a = {0};
    int cells = ev->total > 0 ? (int) ((double) ev->number / (double) ev->total * BAR_CELLS) : 0;

    if (cells > BAR_CELLS)
        cells = BAR_CELLS;
    if (ev->total > 0)
        str_addf(&line, "[%.*s%.*s] ", cells, "####################", BAR_CELLS - cells,
                 "....................");
    numbers(ev, &line);
    str_add(&line, "  ");
    prefix(o, ev, &line);
    sentence(ev, &line);
    fprintf(o->messages, "\r\033[K%.*s", columns() - 1, out_clean(&a, str_text(&line), false));
    fflush(o->messages);
    o->bar_shown = true;
}

static bool is_due(struct out *o)
{
    int64_t now = o->clock ? clock_mono_ms(o->clock) : 0;

    if (!o->clock || (o->last_line_ms && now - o->last_line_ms < LINE_EVERY_MS))
        return false;
    o->last_line_ms = now;
    return true;
}

/* A wait or a retry is told when it begins, when what it waits for changes, and once a minute. Numbers count
 * down meanwhile, which is no news. */
static bool wait_is_news(struct out *o, const struct event *ev)
{
    AUTO(str) now = {0};
    bool same;

    sentence(ev, &now);
    for (size_t i = 0; i < now.len; i++)
        if (now.text[i] >= '0' && now.text[i] <= '9')
            now.text[i] = '#';
    for (size_t i = 1; i < now.len;)
        if (now.text[i] == '#' && now.text[i - 1] == '#')
            memmove(&now.text[i], &now.text[i + 1], now.len-- - i);
        else
            i++;
    same = o->last_wait.len && strcmp(str_text(&now), str_text(&o->last_wait)) == 0;
    if (!same) {
        str_set(&o->last_wait, str_text(&now));
        if (o->clock)
            o->last_line_ms = clock_mono_ms(o->clock);
        return true;
    }
    return is_due(o);
}

static void line_for_people(struct out *o, const struct event *ev)
{
    static const struct {
        const char *before;
        enum out_style style;
    } how[] = {
        [EVENT_INFO] = {"", STYLE_PLAIN},
        [EVENT_WARNING] = {"warning: ", STYLE_WARN},
        [EVENT_START] = {"", STYLE_PLAIN},
        [EVENT_DONE] = {"done: ", STYLE_GOOD},
        [EVENT_SKIPPED] = {"skipped: ", STYLE_FAINT},
        [EVENT_RETRY] = {"retry: ", STYLE_WARN},
        [EVENT_WAIT] = {"waiting: ", STYLE_WARN},
        [EVENT_PROGRESS] = {"", STYLE_PLAIN},
        [EVENT_FLAG] = {"flag: ", STYLE_BOLD},
    };
    AUTO(str) line = {0};
    AUTO(arena) a = {0};
    const char *end = how[ev->kind].style ? out_message_style(o, STYLE_PLAIN) : "";

    prefix(o, ev, &line);
    out_bar_clear(o);
    fprintf(o->messages, "%s%s%s%s", out_clean(&a, str_text(&line), false),
            how[ev->kind].style ? out_message_style(o, how[ev->kind].style) : "",
            how[ev->kind].before, end);
    str_clear(&line);
    sentence(ev, &line);
    if (ev->kind == EVENT_PROGRESS) {
        str_add(&line, line.len ? ": " : "");
        numbers(ev, &line);
    }
    if (ev->ms > 0 || ev->kind == EVENT_DONE) {
        str_add(&line, ev->kind == EVENT_RETRY ? "; again in " : " (");
        duration_to_text(&line, ev->ms);
        str_add(&line, ev->kind == EVENT_RETRY ? "" : ")");
    }
    fprintf(o->messages, "%s\n", out_clean(&a, str_text(&line), false));
    fflush(o->messages);
}

static void put_fill(struct json_out *j, const struct fill_counts *f)
{
    json_int(j, "changed", f->changed);
    json_int(j, "failed", f->failed);
    json_int(j, "retried", f->retried);
    json_int(j, "batches", f->batches);
    json_int(j, "residual", f->residual);
    json_int(j, "left_ms", f->left_ms);
    json_str(j, "throttle", f->level);
    json_str(j, "reason", f->reason);
}

static void object_for_programs(struct out *o, const struct event *ev)
{
    AUTO(str) text = {0};
    struct json_out j;
    char at[25];

    json_begin(&j, &text, false);
    json_object_begin(&j, NULL);
    json_str(&j, "event", words[ev->kind]);
    json_int(&j, "version", OUT_VERSION);
    if (o->clock) {
        time_to_rfc3339(clock_wall_ms(o->clock), at);
        json_str(&j, "at", at);
    }
    json_str(&j, "run_id", o->run_id);
    json_str(&j, "plan", ev->plan);
    json_str(&j, "phase", ev->phase);
    json_str(&j, "task", ev->task);
    json_str(&j, "message", ev->message);
    json_int(&j, "number", ev->number);
    json_int(&j, "total", ev->total);
    json_int(&j, "ms", ev->ms);
    if (ev->kind == EVENT_PROGRESS)
        json_double(&j, "rate", ev->rate);
    if (ev->fill)
        put_fill(&j, ev->fill);
    json_object_end(&j);
    out_put_line(o, o->data, &text);
    fflush(o->data);
}

static void emit(struct events *events, const struct event *ev)
{
    struct out *o = (struct out *) events;

    if (o->format == OUT_JSONL) {
        object_for_programs(o, ev);
        return;
    }
    if (o->verbosity < 0 && ev->kind != EVENT_WARNING)
        return;
    if (ev->kind == EVENT_PROGRESS) {
        if (o->messages_tty)
            bar(o, ev);
        else if (o->verbosity > 0 || is_due(o))
            line_for_people(o, ev);
        return;
    }
    if ((ev->kind == EVENT_WAIT || ev->kind == EVENT_RETRY) && o->verbosity <= 0 &&
        !wait_is_news(o, ev))
        return;
    line_for_people(o, ev);
}

const struct events_ops out_events_ops = {emit};
