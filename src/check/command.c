/* command: steps, which run a pull request's code: only where somebody said so. */
#include "check/work.h"

#include <errno.h>
#include <string.h>

/* As long as a build may take, and no longer than a job waits. */
enum { LIMIT_MS = 5 * 60 * 1000, HELP_BYTES = 2000 };

/* The last line that isn't empty: tools end with what went wrong. */
static const char *last_line(struct proof *p, const char *text)
{
    size_t n = strlen(text), from;

    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    for (from = n; from > 0 && text[from - 1] != '\n'; from--)
        ;
    return arena_strndup(p->a, text + from, n - from);
}

/* Whole lines from the end of it. */
static const char *tail_of(struct proof *p, const char *text)
{
    size_t n = strlen(text);
    const char *from = text;

    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    if (n > HELP_BYTES) {
        from = memchr(text + n - HELP_BYTES, '\n', HELP_BYTES);
        from = from ? from + 1 : text + n - HELP_BYTES;
    }
    return arena_strndup(p->a, from, (size_t) (text + n - from));
}

static const char *words_of(struct proof *p, const char *name, int code, int no_start,
                            int64_t limit_ms, const char *said)
{
    const char *how =
        code == SHADOW_COMMAND_LATE
            ? arena_printf(p->scratch, "didn't end within %d s", (int) (limit_ms / 1000))
        : no_start ? arena_printf(p->scratch, "can't be started: %s", strerror(no_start))
                   : arena_printf(p->scratch, "ended with exit code %d", code);

    return arena_printf(p->a, "the step fails: command %s %s%s%s", name, how, *said ? ": " : "",
                        *said ? last_line(p, said) : "");
}

static const char *way_to_start(struct proof *p, const char *name, int no_start)
{
    if (no_start == EACCES)
        return strchr(name, '/') ? arena_printf(p->a,
                                                "it may not be run: chmod +x %s, and git add "
                                                "--chmod=+x %s",
                                                name, name)
                                 : "PATH has it, or a folder of PATH is there, that may not be run";
    if (no_start == ENOENT)
        return strchr(name, '/') ? "a file of that name, from the project's folder on, or the "
                                   "program of its first line (#!) isn't there"
                                 : "no folder of PATH has it; a file of the project's is named "
                                   "from there on: ./name";
    return NULL;
}

static bool run(struct proof *p, const struct step *s, const char **why, const char **help,
                struct err *err)
{
    const char **argv = arena_array(p->scratch, const char *, s->command.n + 1);
    int64_t limit = s->statement_timeout_ms != MODEL_UNSET && s->statement_timeout_ms > 0
                        ? s->statement_timeout_ms
                        : LIMIT_MS;
    AUTO(str) said = {0};
    int code = 0, no_start = 0;

    for (int i = 0; i < s->command.n; i++)
        argv[i] = s->command.items[i].s;
    struct shadow_command c = {.database = p->database,
                               .argv = argv,
                               .label = arena_printf(p->scratch, "phasegate/check/%s", s->id.s),
                               .limit_ms = limit,
                               .no_start = &no_start};
    *why = NULL;
    if (!shadow_command(p->shadow, &c, &said, &code, err))
        return false;
    if (code != 0) {
        *why = words_of(p, argv[0], code, no_start, limit, str_text(&said));
        *help = no_start ? way_to_start(p, argv[0], no_start)
                : said.len
                    ? arena_printf(p->a, "it said: %s", tail_of(p, str_text(&said)))
                    : "it said nothing; it is given DATABASE_URL, libpq's variables and PATH, "
                      "and no other variables of ours";
    }
    return true;
}

/* Where only one transition is looked at the tool is about to be run: whoever does so is told, and not held up. */
static void report_not_run(struct proof *p, int state, const struct step *s)
{
    struct finding *f;

    if (p->told[state])
        return;
    f = step_finding(p, state, "cell-untested", s->at,
                     "a command: step isn't run: what it does to the schema is not known");
    f->help = "--allow-commands runs it on the shadow";
    if (p->o->next)
        f->severity = SEVERITY_WARNING;
}

/* As the engine does: not when its result is there already, and afterwards it must be. */
bool command_step(struct proof *p, int state, const struct step *s, struct err *err)
{
    const char *why = NULL, *help = NULL, *unasked = NULL;
    bool in_place = false;

    /* A tool makes the tables by which it remembers its work: they may be missing before it first ran. */
    if (!step_is_in_place(p, s, &in_place, &unasked, err) || in_place)
        return in_place;
    if (!p->o->allow_commands) {
        report_not_run(p, state, s);
        return true;
    }
    if (!run(p, s, &why, &help, err))
        return false;
    if (!why && s->applied_when.s) {
        const char *failed = NULL;

        if (!steps_ask(p, s->applied_when.s, &in_place, &failed, err))
            return false;
        if (failed)
            why = arena_printf(
                p->a, "the step fails: the command ended well, but applied_when fails: %s", failed);
        else if (!in_place)
            why = "the step fails: the command ended well, but applied_when is still false";
    }
    if (why && !p->told[state])
        step_finding(p, state, "step-fails-on-shadow", s->at, why)->help = help;
    p->broken[state] |= why != NULL;
    return true;
}
