/* What a statement of a baseline is, by its words: taken, left out or refused, and which roles it names. */
#include "shadow/scan_int.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool token_is(const struct token *t, const char *word)
{
    return t->kind == TOKEN_WORD && strlen(word) == (size_t) t->n &&
           strncasecmp(t->at, word, (size_t) t->n) == 0;
}

const char *token_name(struct arena *a, const struct token *t)
{
    bool is_quoted = t->kind == TOKEN_QUOTED || (t->kind == TOKEN_STRING && *t->at == '\'');
    char *name = is_quoted ? arena_strndup(a, t->at + 1, (size_t) t->n - 2)
                           : arena_strndup(a, t->at, (size_t) t->n);
    char *to = name;

    for (const char *c = name; *c; c++) {
        *to++ = is_quoted ? *c : (char) tolower((unsigned char) *c);
        c += is_quoted && c[0] == t->at[0] && c[1] == t->at[0];
    }
    *to = '\0';
    return name;
}

/* ---- looking ----------------------------------------------------------------------------------- */

bool tokens_at(const struct tokens *t, int i, const char *word)
{
    return i >= 0 && i < t->n && token_is(&t->items[i], word);
}

const char *tokens_name(struct arena *a, const struct tokens *t, int i)
{
    return i >= 0 && i < t->n ? token_name(a, &t->items[i]) : "";
}

static bool is_one_of(const struct tokens *t, int i, const char *const *words)
{
    for (; *words; words++)
        if (tokens_at(t, i, *words))
            return true;
    return false;
}

int tokens_find(const struct tokens *t, int from, const char *word)
{
    int i = from;

    while (i < t->n && !(t->items[i].depth == 0 && tokens_at(t, i, word)))
        i++;
    return i;
}

bool tokens_char(const struct tokens *t, int i, char c)
{
    return i < t->n && t->items[i].kind == TOKEN_OTHER && *t->items[i].at == c;
}

/* ---- roles ------------------------------------------------------------------------------------- */

static bool names_a_role(const char *name)
{
    static const char *const no[] = {"public",       "current_user", "session_user",
                                     "current_role", "user",         "none",
                                     "default",      "all",          NULL};

    for (int i = 0; no[i]; i++)
        if (strcmp(name, no[i]) == 0)
            return false;
    return *name && strncmp(name, "pg_", 3) != 0;
}

static void add_once(struct scan *sc, struct names *to, const char *name)
{
    if (names_find(to, name) < 0)
        names_add(sc->a, to, name);
}

static void mention(struct scan *sc, const struct tokens *t, int i)
{
    if (i >= t->n || t->items[i].kind == TOKEN_OTHER)
        return;
    const char *name = token_name(sc->a, &t->items[i]);
    if (names_a_role(name))
        add_once(sc, &sc->mentioned, name);
}

/* a, b, "c" */
static void mention_list(struct scan *sc, const struct tokens *t, int i)
{
    i += tokens_at(t, i, "group");
    mention(sc, t, i);
    for (; tokens_char(t, i + 1, ','); i += 2)
        mention(sc, t, i + 2);
}

static void mention_grant(struct scan *sc, const struct tokens *t, int at)
{
    int to = tokens_find(t, at, tokens_at(t, at, "grant") ? "to" : "from");

    if (tokens_find(t, at, "on") > to) /* a role itself is granted */
        for (int i = at + 1; i < to; i++)
            if (tokens_char(t, i + 1, ',') || i + 1 == to)
                mention(sc, t, i);
    mention_list(sc, t, to + 1);
}

/* Words behind which a role stands, whatever the statement. */
static void mention_anywhere(struct scan *sc, const struct tokens *t)
{
    for (int i = 0; i < t->n && t->items[0].kind == TOKEN_WORD; i++) {
        if (t->items[i].kind != TOKEN_WORD || t->items[i].depth > 0)
            continue;
        if (tokens_at(t, i, "owner") && tokens_at(t, i + 1, "to"))
            mention(sc, t, i + 2);
        else if (tokens_at(t, i, "authorization") && !tokens_char(t, i + 1, '='))
            mention(sc, t, i + 1);
        else if (tokens_at(t, i, "for") &&
                 (tokens_at(t, i + 1, "role") || tokens_at(t, i + 1, "user")))
            mention_list(sc, t, i + 2);
    }
}

static void mention_roles(struct scan *sc, const struct tokens *t)
{
    bool is_alter = tokens_at(t, 0, "alter");

    if (tokens_at(t, 0, "insert") || tokens_at(t, 0, "select") || tokens_at(t, 0, "copy"))
        return;
    mention_anywhere(sc, t);
    if (tokens_at(t, 0, "grant") || tokens_at(t, 0, "revoke"))
        mention_grant(sc, t, 0);
    if (is_alter && tokens_at(t, 1, "default")) {
        int grant = tokens_find(t, 0, "grant");

        mention_grant(sc, t, grant < t->n ? grant : tokens_find(t, 0, "revoke"));
    }
    if ((tokens_at(t, 0, "create") || is_alter) && tokens_at(t, 1, "policy")) {
        int to = tokens_find(t, 2, "to");

        if (!tokens_at(t, to - 1, "rename"))
            mention_list(sc, t, to + 1);
    }
    if ((tokens_at(t, 0, "create") || is_alter) && tokens_at(t, 1, "user") &&
        tokens_at(t, 2, "mapping"))
        mention(sc, t, tokens_find(t, 3, "for") + 1);
    if (tokens_at(t, 0, "set"))
        mention(sc, t, tokens_find(t, 1, "role") + 1);
    if (tokens_at(t, 0, "reassign") || (tokens_at(t, 0, "drop") && tokens_at(t, 1, "owned"))) {
        mention_list(sc, t, tokens_find(t, 0, "by") + 1);
        mention(sc, t, tokens_find(t, 0, "to") + 1);
    }
    if (tokens_at(t, 0, "comment") && tokens_at(t, 2, "role"))
        mention(sc, t, 3);
}

/* ---- verdicts ---------------------------------------------------------------------------------- */

void judgement_refuse(struct judgement *j, const char *why, const char *hint)
{
    j->verdict = REFUSE;
    j->why = why;
    j->hint = hint;
}

static void judge_copy(const struct tokens *t, struct judgement *j)
{
    int from = tokens_find(t, 1, "from"), to = tokens_find(t, 1, "to");
    int at = from < to ? from : to;

    if (at == from && tokens_at(t, at + 1, "stdin"))
        j->verdict = TAKE_COPY;
    else if (at != to || !tokens_at(t, at + 1, "stdout"))
        judgement_refuse(j, "COPY from or to a file or a program of the server",
                         "COPY ... FROM stdin with the data below it, as pg_dump writes it.");
}

static bool is_whoever(const struct tokens *t, int at)
{
    static const char *const those[] = {"current_user", "session_user", "current_role", "user",
                                        NULL};

    return is_one_of(t, at, those);
}

static void judge_role(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    int at = tokens_at(t, 2, "if") ? 4 : 2;

    if (at >= t->n)
        return;
    const char *name = token_name(sc->a, &t->items[at]);
    if (strcmp(name, SHADOW_ADMIN) == 0 || strcmp(name, SHADOW_OWNER) == 0 ||
        strcmp(name, SHADOW_SEEDS) == 0) {
        judgement_refuse(j, "a role of the shadow's own",
                         "The names " SHADOW_ADMIN ", " SHADOW_SEEDS " and " SHADOW_OWNER
                         " are taken.");
    } else if (is_whoever(t, at)) {
        j->verdict = DROP; /* the loading session's, that is ours */
    } else if (tokens_at(t, 0, "create")) {
        add_once(sc, &sc->created, name);
        int in = tokens_find(t, at, "in");
        if (in < t->n)
            mention_list(sc, t, in + 2);
        j->verdict = WRAP;
    } else if (tokens_at(t, 0, "drop") || names_find(&sc->foreign, name) >= 0 ||
               tokens_find(t, at, "database") < t->n) {
        j->verdict = DROP; /* for one, other databases of the shadow may need it */
    } else {
        mention(sc, t, at);
    }
}

static bool is_unsafe_encoding(const char *name)
{
    static const char *const words[] = {
        "sjis", "shiftjis", "shiftjis2004", "mskanji", "win932", "windows932",
        "big5", "win950",   "windows950",   "gbk",     "win936", "windows936",
        "uhc",  "win949",   "windows949",   "gb18030", "johab",  NULL};
    AUTO(str) plain = {0};

    for (; *name; name++)
        if (isalnum((unsigned char) *name))
            str_addc(&plain, (char) tolower((unsigned char) *name));
    for (int i = 0; words[i]; i++)
        if (strcmp(str_text(&plain), words[i]) == 0)
            return true;
    return false;
}

static void judge_set(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    int at = tokens_at(t, 1, "session") || tokens_at(t, 1, "local") ? 2 : 1;
    int value = tokens_at(t, at, "names") ? at + 1 : at + 2;
    const char *word = value < t->n ? token_name(sc->a, &t->items[value]) : "";

    if (tokens_at(t, at, "standard_conforming_strings"))
        j->standard_strings = strcmp(word, "off") != 0 && strcmp(word, "false") != 0 &&
                              strcmp(word, "no") != 0 && strcmp(word, "0") != 0;
    else if ((tokens_at(t, at, "client_encoding") || tokens_at(t, at, "names")) &&
             is_unsafe_encoding(word))
        judgement_refuse(j, "an encoding whose characters may hold a backslash",
                         "pg_dump --encoding=UTF8 writes a dump that can be read.");
    /* Written by a newer pg_dump than the server. */
    else if (tokens_at(t, at, "transaction_timeout") && sc->version < 170000)
        j->verdict = DROP;
    else if (tokens_at(t, at, "default_tablespace"))
        j->verdict = DROP;
}

static void judge_object(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    static const char *const roles[] = {"role", "user", "group", NULL};
    bool is_database = tokens_at(t, 1, "database");

    if (is_one_of(t, 1, roles) && !tokens_at(t, 2, "mapping"))
        judge_role(sc, t, j);
    else if (tokens_at(t, 1, "subscription") || (is_database && tokens_at(t, 0, "alter")))
        j->verdict = DROP;
    else if (is_database)
        judgement_refuse(
            j, "a baseline makes and drops no databases: it is loaded into one",
            "Dump a single database: pg_dump --schema-only DATABASE, without --create, and not "
            "pg_dumpall.");
    else if (tokens_at(t, 1, "tablespace"))
        judgement_refuse(j, "a baseline makes and drops no tablespaces",
                         "pg_dump --no-tablespaces");
    else if (tokens_at(t, 1, "extension") && tokens_at(t, 0, "alter") &&
             (tokens_at(t, 3, "add") || tokens_at(t, 3, "drop")))
        judgement_refuse(j, "a baseline adds nothing to an extension and takes nothing out of it",
                         "pg_dump without --binary-upgrade writes CREATE EXTENSION alone.");
    else if (tokens_at(t, 1, "system"))
        judgement_refuse(j, "a baseline changes no settings of the server", NULL);
}

/* Who may what: INSERT INTO, UPDATE, DELETE FROM these. */
static void judge_write(const struct tokens *t, struct judgement *j)
{
    static const char *const those[] = {
        "pg_authid",   "pg_auth_members", "pg_db_role_setting", "pg_database",
        "pg_shdepend", "pg_extension",    "pg_init_privs",      NULL};
    int at = tokens_at(t, 0, "update") ? 1 : 2;

    at += tokens_at(t, at, "only");
    at += tokens_at(t, at, "pg_catalog") ? 2 : 0;
    if (is_one_of(t, at, those))
        judgement_refuse(j, "a baseline doesn't write to the catalogue of roles and databases",
                         "CREATE ROLE, ALTER ROLE and GRANT say the same.");
}

static bool is_about_server(const struct tokens *t)
{
    static const char *const those[] = {"database", "tablespace", "subscription", NULL};
    int on = tokens_find(t, 1, "on");

    return is_one_of(t, on + 1, those);
}

void scan_judge(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    j->verdict = TAKE;
    if (t->n == 0)
        return;
    mention_roles(sc, t);
    if (tokens_at(t, 0, "prepare") && tokens_at(t, 1, "transaction"))
        judgement_refuse(j, "a baseline leaves no prepared transaction behind",
                         "COMMIT; what it holds would be held for ever.");
    else if (tokens_at(t, 0, "copy"))
        judge_copy(t, j);
    else if (tokens_at(t, 0, "set"))
        judge_set(sc, t, j);
    else if (tokens_at(t, 0, "insert") || tokens_at(t, 0, "update") || tokens_at(t, 0, "delete"))
        judge_write(t, j);
    else if (tokens_at(t, 0, "create") || tokens_at(t, 0, "alter") || tokens_at(t, 0, "drop"))
        judge_object(sc, t, j);
    else if ((tokens_at(t, 0, "grant") || tokens_at(t, 0, "revoke") ||
              tokens_at(t, 0, "comment")) &&
             is_about_server(t))
        j->verdict = DROP;
    if (sc->is_limited && j->verdict != REFUSE)
        scan_limit(sc, t, j);
}
