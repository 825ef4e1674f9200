/* Statements of a baseline that only a superuser may run, where it is loaded by a role that is none.
 *
 * Nothing of the baseline's text is run as superuser. Extensions, roles and who is a member of which are noted, and made
 * by our own statements; what becomes a strong role's stays with who loads it; what can't be is left out, and said where
 * it matters. What is hidden from here (a DO block) fails on the server.
 */
#include "shadow/scan_int.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define IS(i, word) tokens_at(t, (i), (word))

static void edit(struct judgement *j, int from, int to, const char *text)
{
    if (j->n_edits < SCAN_MAX_EDITS)
        j->edits[j->n_edits++] = (struct edit) {from, to, text};
}

static void leave_out(struct scan *sc, const char *what)
{
    if (sc->n_left_out == sc->cap_left_out) {
        int cap = sc->cap_left_out ? 2 * sc->cap_left_out : 8;

        sc->left_out =
            arena_grow(sc->a, sc->left_out, sizeof *sc->left_out * (size_t) sc->cap_left_out,
                       sizeof *sc->left_out * (size_t) cap);
        sc->cap_left_out = cap;
    }
    sc->left_out[sc->n_left_out++] = (struct scan_left_out) {what, sc->statement_line};
}

static bool is_strong(const struct scan *sc, const char *role)
{
    return names_find(&sc->strong, role) >= 0 || strncmp(role, "pg_", 3) == 0;
}

static bool is_foreign(const struct scan *sc, const char *role)
{
    return is_strong(sc, role) || names_find(&sc->foreign, role) >= 0;
}

static void add_once(struct scan *sc, struct names *to, const char *name)
{
    if (names_find(to, name) < 0)
        names_add(sc->a, to, name);
}

/* ---- extensions -------------------------------------------------------------------------------- */

static void forget(struct names *of, const char *name)
{
    int at = names_find(of, name);

    if (at >= 0)
        of->items[at] = NULL;
}

static void create_extension(struct scan *sc, const struct tokens *t)
{
    int at = IS(2, "if") ? 5 : 2;
    struct scan_extension e = {.name = tokens_name(sc->a, t, at), .line = sc->statement_line};

    forget(&sc->dropped_extensions, e.name);
    for (int i = 0; i < sc->n_extensions; i++)
        if (strcmp(sc->extensions[i].name, e.name) == 0)
            return;
    if (strcmp(e.name, "plpgsql") == 0 || !*e.name)
        return;
    for (int i = at + 1; i < t->n; i++) {
        if (IS(i, "schema"))
            e.schema = tokens_name(sc->a, t, ++i);
        else if (IS(i, "version"))
            e.version = tokens_name(sc->a, t, ++i);
        else
            e.cascades |= IS(i, "cascade");
    }
    if (sc->n_extensions == sc->cap_extensions) {
        int cap = sc->cap_extensions ? 2 * sc->cap_extensions : 8;

        sc->extensions =
            arena_grow(sc->a, sc->extensions, sizeof *sc->extensions * (size_t) sc->cap_extensions,
                       sizeof *sc->extensions * (size_t) cap);
        sc->cap_extensions = cap;
    }
    sc->extensions[sc->n_extensions++] = e;
}

static void judge_extension(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    j->verdict = DROP;
    if (IS(0, "create")) {
        create_extension(sc, t);
    } else if (IS(0, "drop")) {
        for (int i = IS(2, "if") ? 4 : 2; i < t->n; i++)
            if (!tokens_char(t, i, ',') && !IS(i, "cascade") && !IS(i, "restrict"))
                add_once(sc, &sc->dropped_extensions, tokens_name(sc->a, t, i));
    } else if (IS(0, "alter") && tokens_find(t, 3, "schema") < t->n) {
        judgement_refuse(j, "an extension changes its schema",
                         "CREATE EXTENSION ... SCHEMA names it from the start: on a server of "
                         "yours extensions are made before the baseline is loaded.");
    }
}

/* ---- roles ------------------------------------------------------------------------------------- */

static void add_member(struct scan *sc, const char *role, const char *member)
{
    if (is_foreign(sc, role) || is_foreign(sc, member) || strcmp(role, member) == 0)
        return;
    names_add(sc->a, &sc->member_of, role);
    names_add(sc->a, &sc->member, member);
}

static void drop_member(struct scan *sc, const char *role, const char *member)
{
    for (int i = 0; i < sc->member.n; i++)
        if (sc->member.items[i] && strcmp(sc->member.items[i], member) == 0 &&
            strcmp(sc->member_of.items[i], role) == 0)
            sc->member.items[i] = NULL;
}

/* CREATE ROLE name ... IN ROLE a, b ROLE c ADMIN d */
static void read_options(struct scan *sc, const struct tokens *t, const char *name, int at)
{
    for (int i = at; i < t->n; i++) {
        bool in = IS(i, "in") && (IS(i + 1, "role") || IS(i + 1, "group"));
        bool has = IS(i, "role") || IS(i, "user") || IS(i, "admin");

        if (IS(i, "noinherit"))
            add_once(sc, &sc->own_only, name);
        else if (IS(i, "inherit"))
            forget(&sc->own_only, name);
        else if (IS(i, "bypassrls"))
            add_once(sc, &sc->sees_rows, name);
        else if (IS(i, "nobypassrls"))
            forget(&sc->sees_rows, name);
        if (!in && !has)
            continue;
        for (i += 1 + in; i < t->n; i += 2) {
            const char *other = tokens_name(sc->a, t, i);

            add_member(sc, in ? other : name, in ? name : other);
            if (!tokens_char(t, i + 1, ','))
                break;
        }
    }
}

static void judge_role(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    int at = IS(2, "if") ? 4 : 2;
    const char *name = tokens_name(sc->a, t, at);

    if (!IS(0, "drop") && !is_foreign(sc, name)) {
        add_once(sc, &sc->mentioned, name);
        read_options(sc, t, name, at + 1);
    }
    j->verdict = DROP;
}

static bool is_role_grant(const struct tokens *t)
{
    int end = tokens_find(t, 1, IS(0, "grant") ? "to" : "from");

    return tokens_find(t, 1, "on") > end;
}

static void grant_roles(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    bool is_grant = IS(0, "grant");
    int first = !is_grant && IS(2, "option") ? 4 : 1;
    int end = tokens_find(t, first, is_grant ? "to" : "from");

    j->verdict = DROP;
    if (first > 1)
        return; /* REVOKE ADMIN OPTION FOR: nobody has it */
    for (int i = first; i < end; i += 2)
        for (int k = end + 1; k < t->n; k += 2) {
            const char *role = tokens_name(sc->a, t, i), *member = tokens_name(sc->a, t, k);

            if (is_grant)
                add_member(sc, role, member);
            else
                drop_member(sc, role, member);
            if (!tokens_char(t, k + 1, ','))
                break;
        }
}

static void judge_grant(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    static const char *const kinds[] = {"table", "sequence", "function", "procedure", "routine",
                                        "type",  "domain",   "schema",   NULL};
    int on = tokens_find(t, 1, "on") + 1, by = tokens_find(t, on, "granted");
    int name = on;

    if (is_role_grant(t)) {
        grant_roles(sc, t, j);
        return;
    }
    for (int i = 0; kinds[i]; i++)
        name += name == on && IS(on, kinds[i]);
    /* They are nobody's of the baseline; our own server takes back what is given of them. */
    if (IS(name, "pg_catalog") || IS(name, "information_schema") || IS(on, "parameter") ||
        IS(on, "language") || (IS(on, "foreign") && IS(on + 1, "data")))
        j->verdict = DROP;
    else if (IS(by + 1, "by"))
        edit(j, by, by + 3, NULL);
}

/* A superuser's things are the limited role's on our own server too; with another role's name on them they had its
 * rights. */
static void tell_owner(struct scan *sc, const char *role)
{
    if (is_strong(sc, role) || names_find(&sc->not_owners, role) >= 0)
        return;
    names_add(sc->a, &sc->not_owners, role);
    leave_out(sc, arena_printf(sc->a,
                               "what belongs to role %s stays with the role that loads it: the "
                               "server of --shadow has a role of that name",
                               role));
}

/* Where a role stands that nothing may become: what the loading role makes stays with it. */
static void judge_owner(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    int owner = tokens_find(t, 1, "owner"), who = tokens_find(t, 1, "authorization");

    if (IS(0, "alter") && IS(owner + 1, "to") && owner + 3 == t->n &&
        is_foreign(sc, tokens_name(sc->a, t, owner + 2))) {
        tell_owner(sc, tokens_name(sc->a, t, owner + 2));
        j->verdict = DROP;
    }
    if (IS(0, "create") && IS(1, "schema") && who + 1 < t->n && who > 2 &&
        is_foreign(sc, tokens_name(sc->a, t, who + 1))) {
        tell_owner(sc, tokens_name(sc->a, t, who + 1));
        edit(j, who, who + 2, NULL);
    }
}

static void judge_defaults(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    int at = tokens_find(t, 3, "for"), end = at + 3;
    bool any;

    if (!IS(at + 1, "role") && !IS(at + 1, "user"))
        return;
    any = is_foreign(sc, tokens_name(sc->a, t, at + 2));
    for (; tokens_char(t, end, ','); end += 2)
        any |= is_foreign(sc, tokens_name(sc->a, t, end + 1));
    if (any)
        edit(j, at, end, NULL);
}

/* SET SESSION AUTHORIZATION is a superuser's; a member's SET ROLE comes to the same. */
static void judge_set(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    int at = IS(1, "session") || IS(1, "local") ? 2 : 1;

    if (IS(1, "session") && IS(2, "authorization")) {
        if (is_foreign(sc, tokens_name(sc->a, t, 3)))
            j->verdict = DROP;
        else
            edit(j, 1, 3, "ROLE ");
    } else if (IS(at, "role") && is_foreign(sc, tokens_name(sc->a, t, at + 1))) {
        j->verdict = DROP;
    }
}

/* DO blocks make roles unless they are there: so they are. */
static void read_block(struct scan *sc, const struct tokens *t)
{
    static const char *const words[] = {"role", "user", "group"};

    for (int i = 1; i < t->n; i++) {
        const char *c = t->items[i].at, *end = c + t->items[i].n;

        for (; t->items[i].kind == TOKEN_STRING && c + 7 < end; c++) {
            const char *at = c + 7;
            int n = 0;

            if (strncasecmp(c, "create ", 7) != 0)
                continue;
            while (at < end && isspace((unsigned char) *at))
                at++;
            for (size_t k = 0; k < 3; k++)
                if (n == 0 && (size_t) (end - at) > strlen(words[k]) &&
                    strncasecmp(at, words[k], strlen(words[k])) == 0)
                    n = (int) strlen(words[k]);
            at += n;
            while (n > 0 && at < end && isspace((unsigned char) *at))
                at++;
            struct token name = {*at == '"' ? TOKEN_QUOTED : TOKEN_WORD, at, 0, 0};
            while (at + name.n < end &&
                   (isalnum((unsigned char) at[name.n]) || at[name.n] == '_' ||
                    (*at == '"' && (name.n == 0 || at[name.n - 1] != '"' || name.n == 1))))
                name.n++;
            if (n > 0 && name.n > (*at == '"' ? 2 : 0) && !is_foreign(sc, token_name(sc->a, &name)))
                add_once(sc, &sc->mentioned, token_name(sc->a, &name));
        }
    }
}

/* ---- objects ----------------------------------------------------------------------------------- */

static void judge_publication(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    int from = tokens_find(t, 3, "for"), with = tokens_find(t, 3, "with");
    bool is_all = IS(from + 1, "all") || IS(from + 1, "tables");
    int add = IS(3, "add") || IS(3, "set") || IS(3, "drop") ? 4 : t->n;

    if (IS(0, "create") && is_all) {
        leave_out(sc, "a publication of all tables, or of a schema's, is made without tables");
        edit(j, from, with, NULL);
    } else if (IS(0, "alter") && IS(add, "tables")) {
        leave_out(sc, "a publication of a schema's tables is made without them");
        j->verdict = DROP;
    }
}

/* Whoever says so vouches for it: without, the planner is more careful. */
static void judge_function(const struct tokens *t, struct judgement *j)
{
    int at = tokens_find(t, 3, "leakproof");

    if (at < t->n && !IS(at - 1, "not"))
        edit(j, at, at + 1, NULL);
}

/* An extension may have needed it before. */
static void judge_schema(const struct tokens *t, struct judgement *j)
{
    bool is_alone = t->n == 3 || (IS(3, "authorization") && t->n == 5);

    if (is_alone && !IS(2, "authorization"))
        edit(j, 2, 2, "IF NOT EXISTS ");
}

static void judge_language(const struct tokens *t, struct judgement *j)
{
    for (int i = 1; i < t->n; i++)
        if (IS(i, "plpgsql"))
            j->verdict = DROP;
}

static void judge_object(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    int kind = IS(1, "or") && IS(2, "replace") ? 3 : 1;

    if ((IS(1, "role") || IS(1, "user") || IS(1, "group")) && !IS(2, "mapping")) {
        judge_role(sc, t, j);
    } else if (IS(1, "extension")) {
        judge_extension(sc, t, j);
    } else if (IS(1, "event") && IS(2, "trigger")) {
        if (IS(0, "create"))
            leave_out(sc, "an event trigger isn't made: steps are checked without it");
        j->verdict = DROP;
    } else if (IS(1, "publication")) {
        judge_publication(sc, t, j);
    } else if (IS(1, "default") && IS(2, "privileges")) {
        judge_defaults(sc, t, j);
    } else if (IS(kind, "language") || IS(kind, "procedural") || IS(kind, "trusted")) {
        judge_language(t, j);
    } else if (IS(0, "create") && IS(1, "schema")) {
        judge_schema(t, j);
    } else if (IS(0, "create") && (IS(kind, "function") || IS(kind, "procedure"))) {
        judge_function(t, j);
    } else if (IS(1, "foreign") && IS(2, "data") && IS(0, "alter")) {
        j->verdict = DROP;
    }
}

static bool is_comment_on_others(const struct tokens *t)
{
    return IS(2, "extension") || IS(2, "role") || IS(2, "event") || IS(2, "language") ||
           (IS(2, "foreign") && IS(3, "data"));
}

void scan_limit(struct scan *sc, const struct tokens *t, struct judgement *j)
{
    bool was_dropped = j->verdict == DROP;

    if (IS(0, "grant") || IS(0, "revoke"))
        judge_grant(sc, t, j);
    else if (IS(0, "set"))
        judge_set(sc, t, j);
    else if (IS(0, "do"))
        read_block(sc, t);
    else if (IS(0, "create") || IS(0, "alter") || IS(0, "drop"))
        judge_object(sc, t, j);
    else if (IS(0, "comment") && is_comment_on_others(t))
        j->verdict = DROP;
    if (j->verdict == TAKE)
        judge_owner(sc, t, j);
    if (was_dropped && j->verdict != REFUSE)
        j->verdict = DROP;
}
