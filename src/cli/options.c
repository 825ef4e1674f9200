/* The parser: GNU long options, clusters of short ones, options before and after the command. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>

const struct option_row option_rows[OPT_COUNT] = {
#define X(id, short_name, long_name, arg, kind, words, help)                                       \
    [OPT_##id] = {short_name, long_name, arg, KIND_##kind, words, help},
#include "options.def"
#undef X
};

struct parser {
    struct arena *a;
    struct command_line *out;
    char **argv;
    int argc, at;
    bool only_args; /* after -- */
    const char *raw_command;
};

const char **words_split(struct arena *a, const char *words)
{
    int n = 1, i = 0;
    const char **list;

    for (const char *s = words; *s; s++)
        n += *s == '|';
    list = arena_array(a, const char *, n + 1);
    for (const char *s = words;; s++) {
        size_t len = strcspn(s, "|");

        list[i++] = arena_strndup(a, s, len);
        s += len;
        if (!*s)
            return list;
    }
}

static bool takes(const struct command *c, enum option_id id)
{
    if (id <= OPT_LAST_GLOBAL)
        return true;
    for (int i = 0; c && c->options[i] != OPT_COUNT; i++)
        if (c->options[i] == id)
            return true;
    return false;
}

/* A command's own option goes before a global one of the same name. */
static enum option_id find_long(const struct command *c, const char *name, size_t n)
{
    for (int i = OPT_COUNT - 1; i >= 0; i--)
        if (takes(c, (enum option_id) i) && strlen(option_rows[i].long_name) == n &&
            strncmp(option_rows[i].long_name, name, n) == 0)
            return (enum option_id) i;
    return OPT_COUNT;
}

static enum option_id find_short(const struct command *c, char name)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (takes(c, (enum option_id) i) && option_rows[i].short_name == name)
            return (enum option_id) i;
    return OPT_COUNT;
}

static bool hint_help(const struct parser *p, struct err *err)
{
    const struct command *c = p->out->command;

    if (c)
        return err_hint(err, "phasegate %s --help", c->name);
    return err_hint(err, "phasegate --help");
}

static bool unknown_option(const struct parser *p, const char *name, size_t n, struct err *err)
{
    const struct command *c = p->out->command;
    const char *words[OPT_COUNT + 1];
    const char *near, *word = arena_strndup(p->a, name, n);
    int k = 0;

    for (int i = 0; i < OPT_COUNT; i++)
        if (takes(c, (enum option_id) i))
            words[k++] = option_rows[i].long_name;
    words[k] = NULL;
    near = name_nearest(word, words);
    err_set(err, ERR_USAGE, "%s%sunknown option --%s%s%s%s", c ? c->name : "", c ? ": " : "", word,
            near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
    return hint_help(p, err);
}

/* The text of an argument is never repeated for options that might hold something private. */
static bool check_value(const struct parser *p, enum option_id id, const char *value,
                        struct err *err)
{
    const struct option_row *o = &option_rows[id];
    struct command_line *out = p->out;
    char *end;

    if (o->kind == KIND_WORD) {
        const char **words = words_split(p->a, o->words), *near;

        /* The mermaid picture belongs to one command only: `show machine`. */
        if (id == OPT_FORMAT && strcmp(value, "mermaid") == 0)
            return true;
        for (int i = 0; words[i]; i++)
            if (strcmp(words[i], value) == 0)
                return true;
        near = name_nearest(value, words);
        err_set(err, ERR_USAGE, "--%s: \"%s\" is none of %s%s%s%s", o->long_name, value, o->words,
                near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        return hint_help(p, err);
    }
    if (o->kind == KIND_DURATION) {
        if (strcmp(value, "0") == 0 || duration_from_text(value, &out->number[id])) {
            out->number[id] = strcmp(value, "0") == 0 ? 0 : out->number[id];
            return true;
        }
        err_set(err, ERR_USAGE,
                "--%s: \"%s\" is no time; expected a number with a unit: 500ms, 30s, 10m, 1h",
                o->long_name, value);
        return hint_help(p, err);
    }
    if (o->kind == KIND_NUMBER) {
        errno = 0;
        out->number[id] = strtoll(value, &end, 10);
        if (*value && !*end && !errno && out->number[id] >= 0)
            return true;
        err_set(err, ERR_USAGE, "--%s: \"%s\" is no number from 0 up", o->long_name, value);
        return hint_help(p, err);
    }
    if (!*value) {
        err_set(err, ERR_USAGE, "--%s: needs %s, got an empty text", o->long_name, o->arg);
        return hint_help(p, err);
    }
    return true;
}

static bool set_option(struct parser *p, enum option_id id, const char *value, struct err *err)
{
    const struct option_row *o = &option_rows[id];

    if (o->arg && !value) {
        if (p->at + 1 >= p->argc) {
            err_set(err, ERR_USAGE, "--%s needs an argument: --%s %s", o->long_name, o->long_name,
                    o->arg);
            return hint_help(p, err);
        }
        value = p->argv[++p->at];
    }
    if (o->arg && !check_value(p, id, value, err))
        return false;
    /* The last one would win in silence: for a kill that's a flag left on. */
    if (o->arg && p->out->given[id] && id != OPT_FLAG && id != OPT_OUTPUT) {
        err_set(err, ERR_USAGE, "--%s is given twice", o->long_name);
        return hint_help(p, err);
    }
    if (id == OPT_FLAG)
        p->out->keys[p->out->n_keys++] = value;
    if (id == OPT_OUTPUT)
        p->out->outputs[p->out->n_outputs++] = value;
    p->out->given[id]++;
    p->out->text[id] = value;
    return true;
}

static bool long_option(struct parser *p, const char *word, struct err *err)
{
    size_t n = strcspn(word, "=");
    enum option_id id = find_long(p->out->command, word, n);

    if (id == OPT_COUNT)
        return unknown_option(p, word, n, err);
    if (word[n] == '=' && !option_rows[id].arg) {
        err_set(err, ERR_USAGE, "--%s takes no argument", option_rows[id].long_name);
        return hint_help(p, err);
    }
    return set_option(p, id, word[n] == '=' ? word + n + 1 : NULL, err);
}

static bool short_options(struct parser *p, const char *cluster, struct err *err)
{
    for (const char *s = cluster; *s; s++) {
        enum option_id id = find_short(p->out->command, *s);

        if (id == OPT_COUNT) {
            err_set(err, ERR_USAGE, "%s%sunknown option -%c",
                    p->out->command ? p->out->command->name : "", p->out->command ? ": " : "", *s);
            return hint_help(p, err);
        }
        if (option_rows[id].arg)
            return set_option(p, id, s[1] ? s + 1 : NULL, err);
        if (!set_option(p, id, NULL, err))
            return false;
    }
    return true;
}

static bool unknown_command(const struct parser *p, const char *word, struct err *err)
{
    const char *near = name_nearest(word, command_names(p->a));

    err_set(err, ERR_USAGE, "unknown command \"%s\"%s%s%s", word, near ? "; did you mean \"" : "",
            near ? near : "", near ? "\"?" : "");
    return hint_help(p, err);
}

/* Which word is the command decides which options there are, so it's looked for first: the first word that
 * is neither an option nor the argument of a global one. Also finds --format, for errors to come. */
static void look_ahead(struct parser *p)
{
    for (int i = 1; i < p->argc; i++) {
        const char *w = p->argv[i];
        enum option_id id = OPT_COUNT;
        const char *value = NULL;

        if (strcmp(w, "--") == 0)
            return;
        if (strncmp(w, "--", 2) == 0) {
            size_t n = strcspn(w + 2, "=");

            id = find_long(p->out->command, w + 2, n);
            value = w[2 + n] == '=' ? w + 3 + n : NULL;
        } else if (w[0] == '-' && w[1]) {
            for (const char *s = w + 1; *s && id == OPT_COUNT; s++) {
                enum option_id one = find_short(p->out->command, *s);

                if (one != OPT_COUNT && option_rows[one].arg) {
                    id = one;
                    value = s[1] ? s + 1 : NULL;
                }
            }
        } else if (!p->raw_command) {
            p->raw_command = w;
            p->out->command = command_find(w);
            continue;
        }
        if (id != OPT_COUNT && option_rows[id].arg && !value && i + 1 < p->argc)
            value = p->argv[++i];
        if (id == OPT_FORMAT && value)
            p->out->text[OPT_FORMAT] = value;
        /* Its other formats are for findings: errors stay text. */
        if ((id == OPT_CHECK_FORMAT || id == OPT_RUNBOOK_FORMAT) && value &&
            strcmp(value, "json") == 0)
            p->out->text[OPT_FORMAT] = value;
    }
}

/* "[PLAN]", "PLAN PHASE", "[PLAN...]", "a|b [X]" */
static bool check_args(const struct parser *p, struct err *err)
{
    const struct command_line *l = p->out;
    int n = 0;

    for (const char *s = l->command->args; *s;) {
        size_t len = strcspn(s, " ");
        bool optional = *s == '[', many = len > 3 && memmem(s, len, "...", 3) != NULL;
        const char *name = arena_strndup(p->a, s + optional, len - 2 * (size_t) optional);

        if (!optional && n >= l->n_args) {
            err_set(err, ERR_USAGE, "%s: needs %s", l->command->name, name);
            err_detail(err, "usage: phasegate %s %s", l->command->name, l->command->args);
            return hint_help(p, err);
        }
        if (n < l->n_args && strchr(name, '|')) {
            const char **words = words_split(p->a, name), *near;
            bool known = false;

            for (int i = 0; words[i]; i++)
                known = known || strcmp(words[i], l->args[n]) == 0;
            if (!known) {
                near = name_nearest(l->args[n], words);
                err_set(err, ERR_USAGE, "%s: \"%s\" is none of %s%s%s%s", l->command->name,
                        l->args[n], name, near ? "; did you mean " : "", near ? near : "",
                        near ? "?" : "");
                return hint_help(p, err);
            }
        }
        n = many ? (l->n_args > n ? l->n_args : n) : n + 1;
        s += len + (s[len] == ' ');
    }
    if (l->n_args > n) {
        err_set(err, ERR_USAGE, "%s: one argument too many: \"%s\"", l->command->name, l->args[n]);
        err_detail(err, "usage: phasegate %s%s%s", l->command->name, *l->command->args ? " " : "",
                   l->command->args);
        return hint_help(p, err);
    }
    return true;
}

bool command_line_parse(struct arena *a, int argc, char **argv, struct command_line *out,
                        struct err *err)
{
    struct parser p = {.a = a, .out = out, .argv = argv, .argc = argc, .at = 1};
    bool seen_command = false;

    memset(out, 0, sizeof *out);
    out->args = arena_array(a, const char *, argc + 1);
    out->keys = arena_array(a, const char *, argc + 1);
    out->outputs = arena_array(a, const char *, argc + 1);
    look_ahead(&p);
    if (p.raw_command && !out->command)
        return unknown_command(&p, p.raw_command, err);
    for (; p.at < argc; p.at++) {
        const char *w = argv[p.at];

        if (!p.only_args && strcmp(w, "--") == 0)
            p.only_args = true;
        else if (!p.only_args && strncmp(w, "--", 2) == 0) {
            if (!long_option(&p, w + 2, err))
                return false;
        } else if (!p.only_args && w[0] == '-' && w[1]) {
            if (!short_options(&p, w + 1, err))
                return false;
        } else if (!seen_command && p.raw_command == w)
            seen_command = true;
        else
            out->args[out->n_args++] = w;
    }
    if (out->given[OPT_HELP] || out->given[OPT_VERSION])
        return true;
    if (!out->command) {
        if (out->n_args)
            return unknown_command(&p, out->args[0], err);
        err_set(err, ERR_USAGE, "no command given");
        return hint_help(&p, err);
    }
    return check_args(&p, err);
}
