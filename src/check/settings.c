/* ALTER ROLE ... SET: a role may say that of itself, and the steps' role of none. So it's said as that role, and taken
 * back: roles outlive the databases that a proof makes anew, and its sessions have the settings that the project file
 * states for them.
 */
#include "check/work.h"

#include <ctype.h>

bool setting_is(const struct sql_stmt *s) { return strcmp(s->kind, "ALTER ROLE SET") == 0; }

struct setting {
    const char *role, *name;
    const char *sql; /* without the database, which is production's */
};

static bool setting_read(struct arena *a, const char *sql, struct setting *out)
{
    const char *at = sql, *rest;

    if (!text_takes_word(&at, "alter") ||
        (!text_takes_word(&at, "role") && !text_takes_word(&at, "user")))
        return false;
    out->role = text_name(a, &at);
    rest = at;
    if (text_takes_word(&rest, "in") && text_takes_word(&rest, "database")) {
        (void) text_name(a, &rest);
        out->sql = arena_printf(a, "%.*s %s", (int) (at - sql), sql, rest);
    } else {
        rest = at;
        out->sql = sql;
    }
    if (!text_takes_word(&rest, "set"))
        (void) text_takes_word(&rest, "reset");
    if (text_takes_word(&rest, "time"))
        out->name = "timezone";
    else
        out->name = text_name(a, &rest);
    size_t n = strcspn(out->name, "=");
    out->name = arena_strndup(a, out->name, n);
    return true;
}

bool settings_begin(struct proof *p, const struct step *s, struct err *err)
{
    struct setting setting;

    for (int i = 0; i < s->n_stmts; i++)
        if (setting_is(&s->stmts[i]) && setting_read(p->scratch, s->stmts[i].sql, &setting) &&
            !shadow_role_lend(p->shadow, setting.role, err))
            return false;
    return true;
}

bool settings_end(struct proof *p, struct err *err) { return shadow_roles_return(p->shadow, err); }

/* By which statements mean something else; search_path and TimeZone only where the project file doesn't state them. */
static bool may_matter(const struct app_session *s, const char *name)
{
    static const char *const words[] = {"datestyle",
                                        "intervalstyle",
                                        "standard_conforming_strings",
                                        "row_security",
                                        "session_replication_role",
                                        "default_transaction_read_only",
                                        "default_text_search_config",
                                        "bytea_output"};

    if (strcmp(name, "search_path") == 0)
        return !s->search_path;
    if (strcmp(name, "timezone") == 0)
        return !s->time_zone;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return strcmp(name, "all") == 0;
}

static void tell(struct proof *p, int state, const struct sql_stmt *s,
                 const struct setting *setting)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct app_session *own = &p->sessions[a->q->session];

        if (!own->role || strcmp(own->role, setting->role) != 0 ||
            !may_matter(own, setting->name) || !app_is_live_from(p, a, state))
            continue;
        struct finding *f = step_finding(
            p, state, "session-meaning-changed", s->at,
            arena_printf(
                p->a,
                "new sessions of role %s have another %s, and those that are open have the "
                "old one: %s runs as it",
                setting->role, setting->name, release_words(p, a->release)));
        f->help = arena_printf(
            p->a,
            "state in session: of the releases what their clients set themselves; the proof goes "
            "by that, and what this changes for sessions that set nothing isn't tried");
        place_add(p, f, a);
        return;
    }
}

bool setting_try(struct proof *p, int state, const struct sql_stmt *s, bool tells,
                 struct wire_result *out, struct err *err)
{
    struct setting setting;
    AUTO(str) role = {0};

    if (!setting_read(p->scratch, s->sql, &setting) ||
        !shadow_role_is_lent(p->shadow, setting.role))
        return wire_exec(p->owner, p->scratch, s->sql, false, out, err);
    str_add(&role, "SET LOCAL ROLE ");
    sql_ident(&role, setting.role);
    const char *const sql[] = {"SAVEPOINT phasegate_setting", str_text(&role), setting.sql,
                               "ROLLBACK TO SAVEPOINT phasegate_setting"};
    for (size_t i = 0; i < sizeof sql / sizeof *sql; i++) {
        if (!wire_exec(p->owner, p->scratch, sql[i], false, out, err))
            return false;
        if (!out->ok)
            return true;
    }
    if (tells)
        tell(p, state, s, &setting);
    return true;
}
