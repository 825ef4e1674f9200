/* completion bash|zsh|fish: scripts from the tables. Names of plans come from `phasegate show plans`. */
#include "print_document.h"

static void spaced(struct str *to, const char *words)
{
    for (const char *s = words; s && *s; s++)
        str_addc(to, *s == '|' ? ' ' : *s);
}

/* ---- bash ------------------------------------------------------------------------------------------- */

static void bash_words_of(struct arena *a, struct str *to, const struct command *c)
{
    enum option_id ids[OPT_COUNT];
    int n = options_of(c, ids);

    str_addf(to, "    %s)\n        options=\"", c ? c->name : "*");
    for (int i = 0; i < n; i++)
        str_addf(to, "%s--%s", i ? " " : "", option_rows[ids[i]].long_name);
    str_add(to, "\"\n");
    if (c && first_words(a, c)) {
        str_add(to, "        words=\"");
        spaced(to, first_words(a, c));
        str_add(to, "\"\n");
    } else if (c && takes_plans(c))
        str_add(to, "        words=\"$(phasegate show plans 2>/dev/null)\"\n");
    else if (c && (strcmp(c->name, "help") == 0 || strcmp(c->name, "man") == 0))
        str_add(to, "        words=\"$commands\"\n");
    str_add(to, "        ;;\n");
}

/* What can follow an option, by its long name: the kind decides. */
static void bash_arguments(struct str *to)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const struct option_row *o = &option_rows[i];
        bool again = false;

        for (int k = 0; k < i; k++)
            again = again || strcmp(option_rows[k].long_name, o->long_name) == 0;
        if (!o->arg || again)
            continue;
        str_addf(to, "    --%s%s", o->long_name, o->short_name ? "|" : "");
        if (o->short_name)
            str_addf(to, "-%c", o->short_name);
        str_add(to, ")\n        ");
        if (o->kind == KIND_WORD) {
            str_add(to, "COMPREPLY=($(compgen -W \"");
            spaced(to, o->words);
            str_add(to, "\" -- \"$cur\"))\n");
        } else if (o->kind == KIND_FILE)
            str_add(to, "COMPREPLY=($(compgen -f -- \"$cur\"))\n");
        else if (o->kind == KIND_DIR)
            str_add(to, "COMPREPLY=($(compgen -d -- \"$cur\"))\n");
        else if (o->kind == KIND_PLAN)
            str_add(
                to,
                "COMPREPLY=($(compgen -W \"$(phasegate show plans 2>/dev/null)\" -- \"$cur\"))\n");
        else
            str_add(to, ":\n");
        str_add(to, "        return\n        ;;\n");
    }
}

static void bash(struct arena *a, struct str *to)
{
    str_add(to, "# bash completion of phasegate; written by `phasegate completion bash`\n"
                "_phasegate() {\n"
                "    local cur prev command=\"\" commands options words=\"\" i\n"
                "    cur=\"${COMP_WORDS[COMP_CWORD]}\"\n"
                "    prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
                "    COMPREPLY=()\n"
                "    commands=\"");
    for (const struct command *c = command_rows; c->name; c++)
        str_addf(to, "%s%s", c == command_rows ? "" : " ", c->name);
    str_add(to, "\"\n    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                "        case \" $commands \" in\n"
                "        *\" ${COMP_WORDS[i]} \"*)\n"
                "            command=\"${COMP_WORDS[i]}\"\n"
                "            break\n"
                "            ;;\n"
                "        esac\n"
                "    done\n"
                "    case \"$prev\" in\n");
    bash_arguments(to);
    str_add(to, "    esac\n    case \"$command\" in\n");
    for (const struct command *c = command_rows; c->name; c++)
        bash_words_of(a, to, c);
    bash_words_of(a, to, NULL);
    str_add(to, "    esac\n"
                "    [ -n \"$command\" ] || words=\"$commands\"\n"
                "    case \"$cur\" in\n"
                "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
                "    *) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
                "    esac\n"
                "}\n"
                "complete -F _phasegate phasegate\n");
}

/* ---- zsh ---------------------------------------------------------------------------------------------- */

/* Inside '...[help]:argument:action'. */
static void zsh_text(struct str *to, const char *s)
{
    for (; *s; s++) {
        if (*s == '\'')
            str_add(to, "'\\''");
        else {
            if (strchr("[]:\\", *s))
                str_addc(to, '\\');
            str_addc(to, *s);
        }
    }
}

static void zsh_action(struct str *to, const struct option_row *o)
{
    if (o->kind == KIND_WORD) {
        str_add(to, "(");
        spaced(to, o->words);
        str_add(to, ")");
    } else if (o->kind == KIND_FILE)
        str_add(to, "_files");
    else if (o->kind == KIND_DIR)
        str_add(to, "_files -/");
    else if (o->kind == KIND_PLAN)
        str_add(to, "_phasegate_plans");
}

static void zsh_option(struct str *to, enum option_id id)
{
    const struct option_row *o = &option_rows[id];

    for (int form = o->short_name ? 0 : 1; form < 2; form++) {
        str_add(to, "        '");
        if (form == 0)
            str_addf(to, "-%c%s", o->short_name, o->arg ? "+" : "");
        else
            str_addf(to, "--%s%s", o->long_name, o->arg ? "=" : "");
        str_add(to, "[");
        zsh_text(to, o->help);
        str_add(to, "]");
        if (o->arg) {
            str_add(to, ":");
            zsh_text(to, o->arg);
            str_add(to, ":");
            zsh_action(to, o);
        }
        str_add(to, "' \\\n");
    }
}

static void zsh_command(struct arena *a, struct str *to, const struct command *c)
{
    enum option_id ids[OPT_COUNT];
    int n = options_of(c, ids);

    str_addf(to, "    %s)\n      _arguments -S \\\n", c->name);
    for (int i = 0; i < n; i++)
        zsh_option(to, ids[i]);
    if (first_words(a, c)) {
        str_add(to, "        '1:which:(");
        spaced(to, first_words(a, c));
        str_add(to, ")'\n");
    } else if (takes_plans(c))
        str_add(to, "        '*:plan:_phasegate_plans'\n");
    else if (strcmp(c->name, "help") == 0 || strcmp(c->name, "man") == 0)
        str_add(to, "        '1:command:_phasegate_commands'\n");
    else
        str_add(to, "        '*: :'\n");
    str_add(to, "      ;;\n");
}

static void zsh(struct arena *a, struct str *to)
{
    str_add(to, "#compdef phasegate\n# zsh completion of phasegate; written by `phasegate "
                "completion zsh`\n\n"
                "_phasegate_plans() {\n"
                "  local -a plans\n"
                "  plans=(${(f)\"$(phasegate show plans 2>/dev/null)\"})\n"
                "  _describe plan plans\n"
                "}\n\n"
                "_phasegate_commands() {\n  local -a commands\n  commands=(\n");
    for (const struct command *c = command_rows; c->name; c++) {
        str_addf(to, "    '%s:", c->name);
        zsh_text(to, c->summary);
        str_add(to, "'\n");
    }
    str_add(to, "  )\n  _describe command commands\n}\n\n"
                "_phasegate() {\n"
                "  local curcontext=\"$curcontext\" state line\n"
                "  typeset -A opt_args\n"
                "  _arguments -C -S \\\n");
    for (int i = 0; i <= OPT_LAST_GLOBAL; i++)
        zsh_option(to, (enum option_id) i);
    str_add(to, "        '1:command:_phasegate_commands' \\\n"
                "        '*::argument:->rest'\n"
                "  [[ $state == rest ]] || return\n"
                "  case $line[1] in\n");
    for (const struct command *c = command_rows; c->name; c++)
        zsh_command(a, to, c);
    str_add(to, "  esac\n}\n\n_phasegate \"$@\"\n");
}

/* ---- fish --------------------------------------------------------------------------------------------- */

static void fish_text(struct str *to, const char *s)
{
    str_addc(to, '\'');
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\')
            str_addc(to, '\\');
        str_addc(to, *s);
    }
    str_addc(to, '\'');
}

static void fish_option(struct str *to, const char *condition, enum option_id id)
{
    const struct option_row *o = &option_rows[id];

    str_addf(to, "complete -c phasegate%s -l %s", condition, o->long_name);
    if (o->short_name)
        str_addf(to, " -s %c", o->short_name);
    if (o->kind == KIND_FILE || o->kind == KIND_DIR)
        str_add(to, " -rF");
    else if (o->arg)
        str_add(to, " -x");
    if (o->kind == KIND_WORD) {
        str_add(to, " -a '");
        spaced(to, o->words);
        str_add(to, "'");
    } else if (o->kind == KIND_PLAN)
        str_add(to, " -a '(phasegate show plans 2>/dev/null)'");
    str_add(to, " -d ");
    fish_text(to, o->help);
    str_add(to, "\n");
}

static void fish(struct arena *a, struct str *to)
{
    str_add(to, "# fish completion of phasegate; written by `phasegate completion fish`\n"
                "complete -c phasegate -f\n");
    for (int i = 0; i <= OPT_LAST_GLOBAL; i++)
        fish_option(to, "", (enum option_id) i);
    for (const struct command *c = command_rows; c->name; c++) {
        const char *condition = arena_printf(a, " -n '__fish_seen_subcommand_from %s'", c->name);

        str_addf(to, "complete -c phasegate -n __fish_use_subcommand -a %s -d ", c->name);
        fish_text(to, c->summary);
        str_add(to, "\n");
        if (first_words(a, c)) {
            str_addf(to, "complete -c phasegate%s -a '", condition);
            spaced(to, first_words(a, c));
            str_add(to, "'\n");
        } else if (takes_plans(c))
            str_addf(to, "complete -c phasegate%s -a '(phasegate show plans 2>/dev/null)'\n",
                     condition);
        for (int i = 0; c->options[i] != OPT_COUNT; i++)
            fish_option(to, condition, c->options[i]);
    }
}

bool cmd_completion(struct context *c, struct err *err)
{
    AUTO(str) text = {0};

    if (strcmp(arg(c, 0), "bash") == 0)
        bash(&c->arena, &text);
    else if (strcmp(arg(c, 0), "zsh") == 0)
        zsh(&c->arena, &text);
    else
        fish(&c->arena, &text);
    return print_document(c, "script", &text, err);
}
