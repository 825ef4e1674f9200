/* The keys of phasegate.yaml. */
#include "load/tables.h"
#include "phasegate/hours.h"
#include "phasegate/names.h"

#include <string.h>

#define ROWS static const struct field
#define TEXTKEY(k, st, member)                                                                     \
    {                                                                                              \
        KEY(k), AT(FT_TEXT, st, member)                                                            \
    }
#define PART(k, table_)                                                                            \
    {                                                                                              \
        KEY(k), .type = FT_MAP, .stored = FT_MAP, .arg = &(table_)                                 \
    }

/* ---- releases ------------------------------------------------------------------------------------- */

static const char *const params_words[] = {"dollar", "colon", "question", "percent", NULL};

static bool is_params(const char *s)
{
    for (int i = 0; params_words[i]; i++)
        if (strcmp(s, params_words[i]) == 0)
            return true;
    return false;
}
static const struct text_rule rule_params = {is_params, "one of: dollar, colon, question, percent"};

static bool is_protocol(const char *s)
{
    return strcmp(s, "binary") == 0 || strcmp(s, "text") == 0;
}
static const struct text_rule rule_protocol = {is_protocol, "one of: binary, text"};

ROWS driver_rows[] = {
    {KEY("protocol"), AT(FT_TEXT, release, driver_protocol), .arg = &rule_protocol},
    {KEY("prepared"), AT(FT_BOOL, release, driver_prepared)},
};
static const struct table driver_table = {TABLE("driver", driver_rows, release)};

static void decode_driver(struct decoder *d, const struct node *n, void *base,
                          const struct field *f)
{
    struct release *r = base;

    if (n->kind == NODE_SCALAR)
        decode_text(d, n, f->key, &rule_name, &r->driver);
    else
        decode_part(d, n, &driver_table, base);
}

ROWS session_rows[] = {
    TEXTKEY("role", release, session_role),
    TEXTKEY("search_path", release, session_search_path),
    TEXTKEY("timezone", release, session_timezone),
};
static const struct table session_table = {TABLE("session", session_rows, release)};

#define RELEASE_ROWS                                                                               \
    {KEY("statements"), AT(FT_TEXTS1, release, statements)},                                       \
        {KEY("params"), AT(FT_TEXT, release, params), .arg = &rule_params},                        \
        {KEY("driver"), .type = FT_WITH, .stored = FT_WITH, .with = decode_driver},                \
        PART("session", session_table)

ROWS release_rows[] = {
    {KEY("version"), AT(FT_TEXT, release, version), .arg = &rule_version, .required = true},
    RELEASE_ROWS,
    {KEY("planned"), AT(FT_BOOL, release, planned)},
};
static const struct table release_table = {TABLE_AT("a release", release_rows, release)};

ROWS consumer_rows[] = {
    {KEY("name"), AT(FT_TEXT, release, version), .arg = &rule_name, .required = true},
    RELEASE_ROWS,
};
static const struct table consumer_table = {TABLE_AT("a consumer", consumer_rows, release)};

/* ---- policy --------------------------------------------------------------------------------------- */

/* A number of people, or of each role: {dba: 1, owner: 1}. */
static void decode_needed(struct decoder *d, const struct node *n, void *base,
                          const struct field *f)
{
    struct field count = {.type = FT_INT, .key = f->key, NUM(0, 1, 100)};
    struct pair_list *roles = &((struct policy *) base)->approvals_by_role[*(const int *) f->arg];
    int64_t one, *sum = (int64_t *) (void *) ((char *) base + f->offset);

    if (n->kind != NODE_MAP) {
        count = *f;
        count.type = FT_INT;
        decode_scalar(d, n, &count, base);
        return;
    }
    if (n->n == 0) {
        decode_say(d, n, "at least one role", NULL, "\"%s\" is empty", f->key);
        return;
    }
    *sum = 0;
    roles->items = arena_array(d->arena, struct pair, n->n);
    for (const struct node *key = n->first; key; key = key->next->next) {
        struct pair *pair = &roles->items[roles->n];
        count.key = key->s;
        if (!decode_text(d, key, "a role", &rule_name, &pair->key) ||
            !decode_scalar(d, key->next, &count, &one) ||
            !decode_raw(d, key->next, key->s, &pair->value))
            continue;
        *sum += one;
        roles->n++;
    }
}

static const int approval_slots[PHASE_SLOTS] = {0, 1, 2, 3, 4};
#define APPROVALS(word, slot, member)                                                              \
    {                                                                                              \
        KEY(word), WITH_AT(FT_INT, policy, member, decode_needed), NUM(MODEL_UNSET, 0, 100),       \
            .arg = &approval_slots[slot]                                                           \
    }
ROWS approvals_rows[] = {
    APPROVALS("expand", PHASE_EXPAND, approvals[PHASE_EXPAND]),
    APPROVALS("dual_read", PHASE_DUAL_READ, approvals[PHASE_DUAL_READ]),
    APPROVALS("write_activation", PHASE_WRITE_ACTIVATION, approvals[PHASE_WRITE_ACTIVATION]),
    APPROVALS("contract", PHASE_CONTRACT, approvals[PHASE_CONTRACT]),
    APPROVALS("purge", PHASE_NONE, approvals_purge),
    {.stored = FT_INT,
     .offset = offsetof(struct policy, approvals[PHASE_NONE]),
     NUM(MODEL_UNSET, 0, 0)},
};
static const struct table approvals_table = {TABLE("approvals", approvals_rows, policy)};

/* One pair per name: {dba: [alice, bob]} gives dba/alice, dba/bob. */
static void decode_approvers(struct decoder *d, const struct node *n, void *base,
                             const struct field *f)
{
    struct policy *policy = base;
    int total = 0;

    if (!decode_is(d, n, NODE_MAP, f->key, "a mapping of roles to lists of names"))
        return;
    for (const struct node *key = n->first; key; key = key->next->next)
        total += key->next->kind == NODE_LIST ? (int) key->next->n : 1;
    policy->approvers.items = arena_array(d->arena, struct pair, total);
    for (const struct node *key = n->first; key; key = key->next->next) {
        struct text role = {0};
        struct text_list names = {0};
        if (!decode_text(d, key, "a role", &rule_name, &role) ||
            !decode_texts(d, key->next, key->s, NULL, true, &names))
            continue;
        for (int i = 0; i < names.n; i++)
            policy->approvers.items[policy->approvers.n++] = (struct pair) {role, names.items[i]};
    }
}

/* {alice: 64 hex digits}: what a token hashes to, never the token. */
static void decode_tokens(struct decoder *d, const struct node *n, void *base,
                          const struct field *f)
{
    struct policy *policy = base;

    if (!decode_is(d, n, NODE_MAP, f->key, "a mapping of names to SHA-256 sums"))
        return;
    policy->tokens.items = arena_array(d->arena, struct pair, n->n);
    for (const struct node *key = n->first; key; key = key->next->next) {
        struct pair *pair = &policy->tokens.items[policy->tokens.n];
        if (!decode_text(d, key, "a name", NULL, &pair->key) ||
            !decode_text(d, key->next, key->s, NULL, &pair->value))
            continue;
        if (strlen(pair->value.s) != 64 || strspn(pair->value.s, "0123456789abcdef") != 64)
            decode_say(d, key->next, "64 hex digits: printf %s \"$TOKEN\" | sha256sum", NULL,
                       "the token of %s isn't there as its SHA-256", pair->key.s);
        else
            policy->tokens.n++;
    }
}

static void decode_rules(struct decoder *d, const struct node *n, void *base, const struct field *f)
{
    static const char *const severities[] = {"error", "warning", "note", "off", NULL};
    struct field severity = {.type = FT_ENUM, .arg = severities, .key = f->key, .offset = 0};
    struct field pairs = {
        .type = FT_RAWPAIRS, .arg = &rule_word_id, .key = f->key, .offset = f->offset};
    struct pair_list list = {0};
    unsigned word;

    if (!decode_is(d, n, NODE_MAP, f->key, "a mapping of rules to severities"))
        return;
    list.items = arena_array(d->arena, struct pair, n->n);
    for (const struct node *key = n->first; key; key = key->next->next) {
        struct pair *pair = &list.items[list.n];
        severity.key = key->s;
        if (decode_text(d, key, "a rule", pairs.arg, &pair->key) &&
            decode_scalar(d, key->next, &severity, &word) &&
            decode_raw(d, key->next, key->s, &pair->value))
            list.n++;
    }
    ((struct policy *) base)->rules = list;
}

ROWS rehearsal_rows[] = {
    {KEY("max_age"), AT(FT_MS, policy, rehearsal_max_age_ms), NUM(MODEL_UNSET, 0, 0),
     .required = true},
};
static const struct table rehearsal_table = {TABLE("rehearsal", rehearsal_rows, policy)};

static void decode_hours(struct decoder *d, const struct node *n, void *base, const struct field *f)
{
    struct text text = {0};
    struct hours hours;

    if (!decode_text(d, n, f->key, NULL, &text))
        return;
    if (hours_parse(text.s, &hours))
        ((struct policy *) base)->maintenance_window = text;
    else
        decode_say(d, n, HOURS_EXPECTED, NULL, "\"%s\" are no hours", text.s);
}

ROWS maintenance_rows[] = {
    {KEY("window"), WITH_AT(FT_TEXT, policy, maintenance_window, decode_hours), .required = true}};
static const struct table maintenance_table = {TABLE("maintenance", maintenance_rows, policy)};

static const char *const preflight_words[] = {"required", "off", NULL};
static const char *const failure_words[] = {"stop", "undo", NULL};
static const char *const snapshot_words[] = {"required", "off", NULL};
static const char *const point_words[] = {"auto", "required", "off", NULL};
static const char *const proof_words[] = {"auto", "required", "off", NULL};

#define MS_UNSET(k, type, member)                                                                  \
    {                                                                                              \
        KEY(k), AT(type, policy, member), NUM(MODEL_UNSET, 0, 0)                                   \
    }
ROWS policy_rows[] = {
    {KEY("one_phase_per_release"), AT(FT_BOOL64, policy, one_phase_per_release),
     NUM(MODEL_UNSET, 0, 0)},
    {KEY("window"), AT(FT_INT, policy, window), NUM(MODEL_UNSET, 1, 100)},
    PART("approvals", approvals_table),
    {KEY("approvers"), .type = FT_WITH, .stored = FT_WITH, .with = decode_approvers},
    {KEY("tokens"), .type = FT_WITH, .stored = FT_WITH, .with = decode_tokens},
    {KEY("forward_only"), AT(FT_BOOL64, policy, forward_only), NUM(MODEL_UNSET, 0, 0)},
    MS_UNSET("kill_drill", FT_MS_OR_0, kill_drill_ms),
    PART("rehearsal", rehearsal_table),
    PART("maintenance", maintenance_table),
    {KEY("proof"), AT(FT_ENUM, policy, proof), .arg = proof_words, .min = PROOF_AUTO},
    {KEY("preflight"), AT(FT_ENUM, policy, preflight), .arg = preflight_words,
     .min = PREFLIGHT_REQUIRED},
    {KEY("snapshot"), AT(FT_ENUM, policy, snapshot), .arg = snapshot_words,
     .min = SNAPSHOT_REQUIRED},
    {KEY("on_failure"), AT(FT_ENUM, policy, on_failure), .arg = failure_words, .min = FAILURE_STOP},
    {KEY("rules"), .type = FT_WITH, .stored = FT_WITH, .with = decode_rules},
    MS_UNSET("hold", FT_MS, hold_ms),
    MS_UNSET("lock_timeout", FT_MS, lock_timeout_ms),
    MS_UNSET("statement_timeout", FT_MS, statement_timeout_ms),
    {KEY("restore_point"), AT(FT_ENUM, policy, restore_point), .arg = point_words,
     .min = POINT_AUTO},
    MS_UNSET("archive_timeout", FT_MS, archive_timeout_ms),
};
static const struct table policy_table = {TABLE("policy", policy_rows, policy)};

/* ---- environments --------------------------------------------------------------------------------- */

static void check_database(struct decoder *d, const struct node *n, void *base)
{
    static const char *const kinds[] = {"url", "urls", NULL};

    (void) base;
    decode_one_of(d, n, "a database", kinds);
    decode_needs(d, n, "waves", "urls");
    decode_needs(d, n, "parallel", "urls");
}

/* 1, 25%, 100%: how many databases, or which part of them, are through after each wave. */
static void decode_waves(struct decoder *d, const struct node *n, void *base, const struct field *f)
{
    struct database_decl *database = base;
    double percent;

    if (!decode_is(d, n, NODE_LIST, f->key, "a list of numbers and percentages"))
        return;
    database->waves.items = arena_array(d->arena, struct text, n->n);
    for (const struct node *child = n->first; child; child = child->next) {
        struct text *wave = &database->waves.items[database->waves.n];
        if (!decode_raw(d, child, f->key, wave))
            continue;
        bool is_count = strspn(wave->s, "0123456789") == strlen(wave->s) && wave->s[0] != '0' &&
                        strlen(wave->s) < 7;
        if (is_count ||
            (strchr(wave->s, '%') && percent_from_text(wave->s, &percent) && percent > 0))
            database->waves.n++;
        else
            decode_say(d, child, "a number of databases or a percentage: 1, 25%, 100%", NULL,
                       "a wave of %.80s", wave->s);
    }
}

ROWS database_rows[] = {
    TEXTKEY("url", database_decl, url),
    {KEY("urls"), AT(FT_TEXTS, database_decl, urls)},
    {KEY("waves"), .type = FT_WITH, .stored = FT_WITH, .with = decode_waves},
    {KEY("parallel"), AT(FT_INT, database_decl, parallel), NUM(MODEL_UNSET, 1, 64)},
};
static const struct table database_table = {TABLE_AT("database", database_rows, database_decl),
                                            .check = check_database};

static const char *const provider_words[] = {"unleash", "builtin", "file", "http", "ofrep", NULL};

static void decode_provider(struct decoder *d, const struct node *n, void *base,
                            const struct field *f)
{
    struct field word = {.type = FT_ENUM, .key = f->key, .arg = provider_words};
    unsigned place;

    if (decode_scalar(d, n, &word, &place))
        decode_raw(d, n, f->key, &((struct flags_decl *) base)->provider);
}

ROWS confirm_rows[] = {{KEY("ofrep"), AT(FT_TEXT, flags_decl, confirm_ofrep), .required = true}};
static const struct table confirm_table = {TABLE("confirm", confirm_rows, flags_decl)};

ROWS set_rows[] = {
    {KEY("method"), AT(FT_TEXT, flags_decl, set_method)},
    {KEY("url"), AT(FT_TEXT, flags_decl, set_url), .required = true},
    TEXTKEY("body", flags_decl, set_body),
};
static const struct table set_table = {TABLE("set", set_rows, flags_decl)};

ROWS get_rows[] = {
    {KEY("url"), AT(FT_TEXT, flags_decl, get_url), .required = true},
    TEXTKEY("on", flags_decl, get_on_pointer),
    TEXTKEY("percent", flags_decl, get_percent_pointer),
};
static const struct table get_table = {TABLE("get", get_rows, flags_decl)};

static void check_flags(struct decoder *d, const struct node *n, void *base)
{
    struct flags_decl *flags = base;

    flags->present = true;
    decode_excludes(d, n, "token", "token_file");
    decode_excludes(d, n, "sdk_token", "sdk_token_file");
    if (flags->provider.s && strcmp(flags->provider.s, "http") != 0 &&
        decode_count(n, (const char *[]) {"set", "get", NULL}))
        decode_say(d, n, "provider: http", NULL,
                   "\"set\" and \"get\" describe requests of provider http");
}

ROWS flags_rows[] = {
    {KEY("provider"), .type = FT_WITH, .stored = FT_WITH, .with = decode_provider,
     .required = true},
    TEXTKEY("url", flags_decl, url),
    TEXTKEY("token", flags_decl, token),
    TEXTKEY("token_file", flags_decl, token_file),
    TEXTKEY("project", flags_decl, project),
    TEXTKEY("environment", flags_decl, environment),
    TEXTKEY("sdk_token", flags_decl, sdk_token),
    TEXTKEY("sdk_token_file", flags_decl, sdk_token_file),
    PART("confirm", confirm_table),
    TEXTKEY("kill_file", flags_decl, kill_file),
    TEXTKEY("path", flags_decl, path),
    TEXTKEY("ca_file", flags_decl, ca_file),
    {KEY("propagation"), AT(FT_MS, flags_decl, propagation_ms), NUM(MODEL_UNSET, 0, 0)},
    PART("set", set_table),
    PART("get", get_table),
    {KEY("headers"), AT(FT_PAIRS, flags_decl, headers)},
};
static const struct table flags_decl_table = {TABLE_AT("flags", flags_rows, flags_decl),
                                              .check = check_flags};

static bool has_one_percent_sign(const char *s)
{
    const char *sign = strchr(s, '%');
    return sign && !strchr(sign + 1, '%');
}
static const struct text_rule rule_pattern = {
    has_one_percent_sign, "a pattern with one %, which stands for the version: \"orders/%\""};

ROWS sessions_rows[] = {
    {KEY("application_name"), AT(FT_TEXT, live_releases_decl, application_name),
     .arg = &rule_pattern, .required = true},
};
static const struct table sessions_table = {TABLE("sessions", sessions_rows, live_releases_decl)};

ROWS live_http_rows[] = {
    {KEY("url"), AT(FT_TEXT, live_releases_decl, http_url), .required = true},
    {KEY("json"), AT(FT_TEXT, live_releases_decl, http_json), .required = true},
};
static const struct table live_http_table = {TABLE("http", live_http_rows, live_releases_decl)};

ROWS live_prometheus_rows[] = {
    {KEY("url"), AT(FT_TEXT, live_releases_decl, prometheus_url), .required = true},
    {KEY("query"), AT(FT_TEXT, live_releases_decl, prometheus_query), .required = true},
};
static const struct table live_prometheus_table = {
    TABLE("prometheus", live_prometheus_rows, live_releases_decl)};

static void check_live_releases(struct decoder *d, const struct node *n, void *base)
{
    static const char *const kinds[] = {"sessions", "http", "prometheus", NULL};

    (void) base;
    decode_one_of(d, n, "live_releases", kinds);
}
ROWS live_releases_rows[] = {
    PART("sessions", sessions_table),
    PART("http", live_http_table),
    PART("prometheus", live_prometheus_table),
};
static const struct table live_releases_table = {
    TABLE_AT("live_releases", live_releases_rows, live_releases_decl),
    .check = check_live_releases};

ROWS snapshots_rows[] = {
    {KEY("to"), AT(FT_TEXT, environment, snapshots_to), .required = true},
    TEXTKEY("endpoint", environment, snapshots_endpoint),
    TEXTKEY("region", environment, snapshots_region),
    {KEY("keep"), AT(FT_MS, environment, snapshots_keep_ms), NUM(MODEL_UNSET, 0, 0)},
};
static const struct table snapshots_table = {TABLE("snapshots", snapshots_rows, environment)};

ROWS pgbackrest_rows[] = {
    {KEY("stanza"), AT(FT_TEXT, environment, backup_stanza), .required = true},
    {KEY("max_age"), AT(FT_MS, environment, backup_max_age_ms), NUM(MODEL_UNSET, 0, 0)},
    TEXTKEY("program", environment, backup_program),
    TEXTKEY("config", environment, backup_config),
};
static const struct table pgbackrest_table = {TABLE("pgbackrest", pgbackrest_rows, environment)};

static void check_backup(struct decoder *d, const struct node *n, void *base)
{
    static const char *const kinds[] = {"pgbackrest", "command", NULL};

    (void) base;
    decode_one_of(d, n, "backup", kinds);
}
ROWS backup_rows[] = {
    PART("pgbackrest", pgbackrest_table),
    {KEY("command"), AT(FT_TEXTS, environment, backup_command)},
};
static const struct table backup_table = {TABLE("backup", backup_rows, environment),
                                          .check = check_backup};

static const char *const notify_words[] = {"json", "slack", NULL};
ROWS notify_rows[] = {{KEY("webhook"), AT(FT_TEXT, notify_decl, webhook), .required = true},
                      {KEY("format"), AT(FT_ENUM, notify_decl, format), .arg = notify_words}};
static const struct table notify_table = {TABLE_AT("a notification", notify_rows, notify_decl)};

ROWS environment_rows[] = {
    {KEY("databases"), ARRAY_AT(FT_NAMED, environment, databases), .arg = &database_table},
    {KEY("flags"), AT(FT_MAP, environment, flags), .arg = &flags_decl_table},
    {KEY("live_releases"), AT(FT_MAP, environment, live_releases), .arg = &live_releases_table},
    PART("snapshots", snapshots_table),
    PART("backup", backup_table),
    {KEY("notify"), ARRAY_AT(FT_ITEMS, environment, notify), .arg = &notify_table},
    {KEY("policy"), AT(FT_MAP, environment, policy), .arg = &policy_table},
};
/* What only shows when the text is used shows here. */
static void check_variables(struct decoder *d, const struct text *t)
{
    for (const char *at = t->s ? strstr(t->s, "${") : NULL; at; at = strstr(at + 2, "${")) {
        const char *close = strchr(at, '}');
        size_t n = close ? (size_t) (close - at) - 2 : 0;

        if (close && n > 0 &&
            strspn(at + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
                n &&
            (at[2] < '0' || at[2] > '9'))
            continue;
        problem_add(d->problems, t->at, "${NAME}, the name of an environment variable", NULL,
                    close ? "${ without a name of a variable" : "a ${ without its }");
        d->failed = true;
        return;
    }
}

/* NAME/1 is the first database of the fleet NAME, and nobody else. */
static void check_database_names(struct decoder *d, const struct environment *e,
                                 const struct database_decl *database)
{
    const char *name = database->name.s, *slash = name ? strrchr(name, '/') : NULL;

    check_variables(d, &database->url);
    for (int i = 0; i < database->urls.n; i++)
        check_variables(d, &database->urls.items[i]);
    for (int i = 0; slash && i < e->n_databases; i++) {
        const char *other = e->databases[i].name.s;

        if (!other || !e->databases[i].urls.n || strlen(other) != (size_t) (slash - name) ||
            strncmp(other, name, strlen(other)) != 0)
            continue;
        problem_add(d->problems, database->name.at,
                    "a name without a fleet's name before its slash", NULL,
                    "a database named like one of a fleet");
        d->failed = true;
    }
}

static void check_environment(struct decoder *d, const struct node *n, void *base)
{
    const struct environment *e = base;
    const struct flags_decl *f = &e->flags;
    const struct text *const texts[] = {&f->url,
                                        &f->token,
                                        &f->token_file,
                                        &f->project,
                                        &f->environment,
                                        &f->sdk_token,
                                        &f->sdk_token_file,
                                        &f->confirm_ofrep,
                                        &f->kill_file,
                                        &f->path,
                                        &f->ca_file,
                                        &f->set_url,
                                        &f->get_url,
                                        &e->live_releases.http_url,
                                        &e->live_releases.prometheus_url};

    (void) n;
    for (int i = 0; i < e->n_databases; i++)
        check_database_names(d, e, &e->databases[i]);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_variables(d, texts[i]);
    for (int i = 0; i < f->headers.n; i++)
        check_variables(d, &f->headers.items[i].value);
}

static const struct table environment_table = {
    TABLE_AT("environment", environment_rows, environment), .check = check_environment};

/* ---- project -------------------------------------------------------------------------------------- */

/* What is compared with others' names of files has one form. */
static void tidy_list(struct arena *a, struct text_list *l)
{
    for (int i = 0; i < l->n; i++)
        l->items[i].s = path_tidy(a, l->items[i].s, false);
}

static void check_project(struct decoder *d, const struct node *n, void *base)
{
    struct project *p = base;

    p->baseline.s = path_tidy(d->arena, p->baseline.s, false);
    p->plans_dir.s = path_tidy(d->arena, p->plans_dir.s, false);
    for (int i = 0; i < p->n_releases; i++)
        tidy_list(d->arena, &p->releases[i].statements);
    for (int i = 0; i < p->n_consumers; i++)
        tidy_list(d->arena, &p->consumers[i].statements);
    for (int i = 0; i < p->n_releases; i++)
        if (p->releases[i].version.s && project_release_index(p, p->releases[i].version.s) != i) {
            problem_add(d->problems, p->releases[i].version.at, NULL, NULL,
                        "release %s is listed twice", p->releases[i].version.s);
            d->failed = true;
        }
    if (!p->plans_dir.s)
        p->plans_dir = (struct text) {"plans", node_pos(d, n)};
}

ROWS project_rows[] = {
    {KEY("phasegate"), .type = FT_WITH, .stored = FT_WITH, .with = decode_phasegate,
     .required = true},
    TEXTKEY("plans", project, plans_dir),
    TEXTKEY("baseline", project, baseline),
    {KEY("releases"), ARRAY_AT(FT_ITEMS, project, releases), .arg = &release_table},
    {KEY("consumers"), ARRAY_AT(FT_ITEMS, project, consumers), .arg = &consumer_table},
    {KEY("policy"), AT(FT_MAP, project, policy), .arg = &policy_table},
    {KEY("environments"), ARRAY_AT(FT_NAMED, project, environments), .arg = &environment_table},
};
static const struct table project_table = {TABLE("the project", project_rows, project),
                                           .check = check_project};

bool project_parse(struct arena *a, const char *path, const char *bytes, size_t n,
                   struct project *out, struct problem_list *problems)
{
    AUTO(arena) scratch = {0};
    const char *file = arena_strdup(a, path);
    struct project project = {0};
    struct decoder d = {.arena = a, .file = file, .problems = problems};
    struct node *root = yaml_tree_parse(&scratch, file, bytes, n, problems);

    decode_defaults(&project_table, &project);
    if (root)
        decode_part(&d, root, &project_table, &project);
    project.file = file;
    *out = project;
    return root && !d.failed;
}
