/* cli: the command line. Tables of options and commands, and what a command works with.
 *
 * A command is a row of commands.def and a function cmd_<name>(struct context *, struct err *) in
 * cmd_<name>.c. By the row's needs everything is opened before the function is called, and nothing else.
 * It prints through c->out. False: err is shown and gives the exit code. True: c->exit_code (0), which a
 * command sets for a "no" that is an answer and not an error.
 */
#ifndef PHASEGATE_CLI_H
#define PHASEGATE_CLI_H

#include "phasegate/demo.h"
#include "phasegate/engine.h"
#include "phasegate/names.h"
#include "phasegate/out.h"
#include "phasegate/report.h"

#include <string.h>

/* ---- options ------------------------------------------------------------------------------------ */

enum option_id {
#define X(id, short_name, long_name, arg, kind, words, help) OPT_##id,
#include "options.def"
#undef X
    OPT_COUNT
};
#define OPT_LAST_GLOBAL OPT_VERSION

enum option_kind {
    KIND_FLAG,
    KIND_TEXT,
    KIND_WORD,
    KIND_NUMBER,
    KIND_DURATION,
    KIND_FILE,
    KIND_DIR,
    KIND_PLAN,
    KIND_RELEASE,
    KIND_ENVIRONMENT,
    KIND_DATABASE
};

struct option_row {
    char short_name;             /* 0: none */
    const char *long_name, *arg; /* arg NULL: takes none */
    enum option_kind kind;
    const char *words; /* WORD: "a|b|c" */
    const char *help;
};
extern const struct option_row option_rows[OPT_COUNT];

struct command_line {
    const struct command *command; /* NULL: none given */
    int given[OPT_COUNT];          /* how often */
    const char *text[OPT_COUNT];   /* the last argument */
    int64_t number[OPT_COUNT];     /* NUMBER; DURATION in ms */
    const char **args;             /* without the command's name */
    int n_args;
    const char **keys; /* of --flag, which may be given several times */
    int n_keys;
    const char **outputs; /* of --output likewise */
    int n_outputs;
};

/* Everything lives in a. False: ERR_USAGE; what was understood so far is in out (the format, the command). */
bool command_line_parse(struct arena *a, int argc, char **argv, struct command_line *out,
                        struct err *err);
/* Words of "a|b|c", ended by NULL. */
const char **words_split(struct arena *a, const char *words);

/* ---- commands ------------------------------------------------------------------------------------ */

struct context;

enum {
    NEED_NOTHING = 0,
    NEED_PROJECT = 1, /* project file and plans */
    NEED_PLAN = 2,    /* the first argument is a plan, in c->plans[0] */
    NEED_PLANS = 4,   /* all arguments are plans; none: c->plans has all of them */
    NEED_ENV = 8,     /* c->env */
    NEED_DB = 16,     /* context_engine() may be called */
    NEED_FLAGS =
        32, /* the flag service, where the environment has one: context_flags() must succeed */
    NEED_LEASE = 64, /* takes the lease: --lock-wait */
    MUTATES = 128,   /* the session may write; without it it can't */
    TOLERANT = 256,  /* goes on with the plans that could be understood */
    STRANGERS =
        1024,      /* named plans that no file has are in c->strangers, for the command to judge */
    SPARES = 2048, /* goes on beside plan files that can't be understood, which are in set.spared */
    NEED_SQL = 512 /* c->plans whose SQL has problems are whole: the others were found good */
};

struct command {
    const char *name, *args;
    unsigned needs;
    const enum option_id *options; /* ends with OPT_COUNT */
    const char *summary, *example, *about;
    bool (*run)(struct context *, struct err *);
};
extern const struct command command_rows[]; /* ends with name NULL */
const struct command *command_find(const char *name);
const char **command_names(struct arena *a);

#define COMMAND(function, name, args, needs, options, summary, example, about)                     \
    bool cmd_##function(struct context *c, struct err *err) MUST_CHECK;
#include "commands.def"
#undef COMMAND

struct exit_code_row {
    int code;
    const char *meaning;
};
extern const struct exit_code_row exit_code_rows[]; /* ends with meaning NULL */

/* ---- what a command works with ------------------------------------------------------------------------ */

struct session { /* one database of the environment */
    const struct database_decl *decl;
    struct db *db;
    struct str url;               /* resolved: a secret */
    const char *const *variables; /* the same for programs: secrets too */
    const char *search_path;
    bool has_ledger;
    struct engine engine;
};

struct shown_file;

struct context {
    const struct command *command;
    struct command_line line;
    struct out out;
    struct arena arena;
    struct clock *clock;
    struct host *host;
    struct http *http; /* made when flags or gates need it */
    struct ports ports;
    struct problem_list problems;
    struct plan_set set;
    bool has_set;
    const struct environment *env;
    struct plan **plans;
    int n_plans;
    const char **strangers;
    int n_strangers;
    struct flag_service *flags;     /* NULL: the environment has none */
    struct flag_service *kill_file; /* NULL: none */
    struct http *notify_http;       /* made when somebody is told */
    struct notifier *notifier;
    struct session *sessions; /* one per database of env */
    int n_sessions;
    bool flags_tried;
    struct shown_file *shown_files;                 /* whose lines were shown */
    const char *run_id, *actor, *state_dir, *label; /* label: application_name */
    const char *token_sha256;      /* of what one signs with (token.h); NULL: none was given */
    const char *cache;             /* folder of what can be had again; NULL: the environment says */
    const struct fleet_lead *lead; /* in the process of a database of a fleet; else NULL */
    int exit_code;
};

static inline bool opt_has(const struct context *c, enum option_id id)
{
    return c->line.given[id] > 0;
}
static inline const char *opt_text(const struct context *c, enum option_id id)
{
    return c->line.text[id];
}
static inline const char *arg(const struct context *c, int i)
{
    return i < c->line.n_args ? c->line.args[i] : NULL;
}

int cli_main(int argc, char **argv);
/* Of a command that runs in this process: before it, and after it: shows err and closes c. The exit code. */
void context_output(struct context *c);
int context_end(struct context *c, bool good, struct err *err);

/* context.c */
bool context_open(struct context *c, struct err *err) MUST_CHECK;
void context_close(struct context *c);
bool context_load(struct context *c, bool tolerant, struct err *err) MUST_CHECK;
/* Shows c->problems and sums them up. Always false. */
bool context_problems(struct context *c, struct err *err);
/* A warning for each plan file that was set aside. */
void context_warn_spared(struct context *c);
bool context_environment(struct context *c, struct err *err) MUST_CHECK;
struct plan *context_plan(struct context *c, const char *id, struct err *err); /* NULL: err */
/* new_compensates.c: steps of a contract that takes back what p made; none: ids of those that have no undo. */
bool compensating_steps(struct context *c, struct plan *p, struct str *contract, struct str *none,
                        struct err *err);
/* Only plans that are named on the command line are loaded whole. This one with its SQL's facts: p itself
 * when it is whole, else *room, in arena a. NULL: err. */
bool context_facts(struct plan_set *set, struct plan *p, struct err *err);
struct plan *context_read_plan(struct plan_set *set, struct plan *p, struct arena *a,
                               struct plan *room, struct err *err);
/* All problems to standard error (text) and into the error object (json). */
void context_show_problems(struct context *c, const struct problem_list *l);
void problems_json(struct json_out *j, const char *key, const struct problem_list *l);
const char *context_config(
    struct context *c); /* path of the project file as asked for; NULL: the default */

/* session.c: opened on first use. plan's database; database_or_null by name. */
bool context_engine(struct context *c, const struct plan *p, struct engine **out,
                    struct err *err) MUST_CHECK;
/* Without any database (its db is NULL), for what goes on when that is out of reach. False: nothing to add. */
bool context_engine_alone(struct context *c, struct engine **out);
/* Databases to look at: --database, else all of the environment. */
bool context_each_database(struct context *c,
                           bool (*fn)(struct context *, struct engine *, void *, struct err *),
                           void *ctx, struct err *err) MUST_CHECK;
/* The database that a command works on: the plan's, or the one of its fleet that --database names. NULL: err. */
const struct database_decl *context_database_of(struct context *c, const struct plan *p,
                                                struct err *err);
/* NULL: the plan's database is none. */
const struct database_decl *context_fleet_of(const struct context *c, const struct plan *p);
/* With the engine of this one, which is closed again when it is one of a fleet. */
bool context_in_database(struct context *c, const struct database_decl *decl,
                         bool (*fn)(struct context *, struct engine *, void *, struct err *),
                         void *ctx, struct err *err) MUST_CHECK;
/* The plan's database, or each of its fleet (--database: only that one). What fn keeps of e is gone when it returns
 * for one of a fleet. */
bool context_each_of_plan(struct context *c, const struct plan *p,
                          bool (*fn)(struct context *, struct engine *, void *, struct err *),
                          void *ctx, struct err *err) MUST_CHECK;
bool context_http(struct context *c, struct err *err) MUST_CHECK;

/* flag_config.c: the flag service and the kill file of the environment with everything resolved, in arena. Without
 * NEED_FLAGS settings that can't be used are a warning. */
bool context_flags(struct context *c, struct err *err) MUST_CHECK;
/* The same for commands that can't do without. */
bool context_flags_needed(struct context *c, struct err *err) MUST_CHECK;
bool context_read_secret(struct context *c, const char *path, const char **out,
                         struct err *err) MUST_CHECK;
bool context_resolve(struct context *c, const struct text *t, const char **out,
                     struct err *err) MUST_CHECK;

/* cache_folder.c: the folder in which a command keeps what only saves time; absolute, in arena a, perhaps not there yet.
 * NULL: nothing is to be kept (--no-cache), or there's no place for it. */
const char *cache_folder(struct context *c, struct arena *a);

/* prove.c: the proof that a transition asks for before it begins. The first shadow is begun with it,
 * and is up when the database has been asked. */
struct proving {
    struct context *c;
    enum proof_policy policy;
    const char *file;    /* --proof; NULL: none */
    bool has_statements; /* of any release or consumer */
    struct shadow *shadow;
    struct err shadow_err;   /* why there's none */
    struct foreseen *before; /* a dry run of several plans: what would have been done by then */
    int n_before;
    bool is_over; /* and it would have ended there */
};
bool proving_begin(struct context *c, struct proving *out, struct err *err) MUST_CHECK;
void proving_end(struct proving *k);

struct made_proof {
    struct transition_proof proof; /* for the engine; refers to this struct */
    const char *source;            /* "shadow", "file"; NULL: no proof was made */
    const char *print;             /* of the catalogue that was proved */
    const char *roles;             /* that it looked at: see check_roles */
    const char *checksum;          /* of the phase */
    struct report_summary summary;
    const char *server_version; /* of the shadow; NULL: not known */
};
/* ERR_NO with the findings shown: it isn't safe. Without an error the engine may begin what out says. */
bool prove_transition(struct proving *k, struct engine *e, struct plan *p, enum phase_event ev,
                      const struct advance_options *o, struct made_proof *out,
                      struct err *err) MUST_CHECK;
/* The proof of a dry run, made as the run would make it: its word, and the refusal that the run would meet, as error
 * too. d is complete either way: show it first. */
bool proving_foresee(struct proving *k, struct engine *e, struct plan *p, enum phase_event ev,
                     const struct advance_options *o, struct dry_run *d,
                     struct err *err) MUST_CHECK;
/* demo_proof.c: what a user proves, for the demo. It refers to itself. */
struct demo_proving {
    struct demo_prover prover;
    struct context inner; /* of the proofs: the demo's project and environment, and quiet */
    bool is_open;
    struct made_proof made;
    struct context *c;
};
void demo_proving_begin(struct context *c, struct demo_proving *out);
void demo_proving_end(struct demo_proving *d);
/* prove_file.c: a proof that was made elsewhere. */
struct wanted_proof {
    const struct plan *plan;        /* with its facts */
    const char *phase, *checksum;   /* phase: its word in the file */
    const char *release;            /* that it is for */
    struct engine *engine;          /* of the database, to be asked only */
    const struct schema_sums *live; /* of the database; NULL: it isn't there yet */
    int64_t window;                 /* of the environment's policy */
    const char *statements, *file;  /* filled by prove_from_file: the file as it is shown */
};
bool prove_from_file(struct context *c, const char *path, struct wanted_proof *w,
                     struct made_proof *out, struct err *err) MUST_CHECK;
/* It is there, and JSON; what it says isn't looked at. */
bool proof_is_readable(struct context *c, const char *path, struct err *err) MUST_CHECK;
/* A name from outside, as one line, and no longer than one. */
const char *proof_shown(struct arena *a, const char *name);
/* Likewise of a thing of a schema: "materialized view public.report". */
const char *proof_shown_object(struct arena *a, const char *name);
/* proof_schema.c: how the database's schema differs from the one of the file that has this catalogue. */
struct json_t;
struct proof_difference {
    const char *what;  /* NULL: in nothing that counts */
    const char *way;   /* out of it, where there is one of its own */
    const char *cause; /* the phases of other plans that explain all of it; NULL: they don't */
};
bool proof_schema(struct context *c, const struct json_t *doc, const char *catalogue,
                  const struct wanted_proof *w, struct proof_difference *out,
                  struct err *err) MUST_CHECK;
/* proof_form.c: why it is no proof at all, with the place; NULL: it is one. */
const char *proof_form(struct context *c, const struct json_t *doc);

/* notifier.c: who is told of milestones; NULL: nobody. */
struct notifier *context_notifier(struct context *c);
/* Once everything is sent and said. */
struct flag_kill_report;
void context_tell_of_kill(struct context *c, const struct flag_kill_report *r);

/* metrics_file.c: --metrics-file, for what is run after this. */
void metrics_file_begin(struct context *c);

/* unproven.c: has expand a step that restricts? It begins with a proof only: ERR_REFUSED, reason "proof". */
bool expand_restricts(struct context *c, struct plan *p);
bool refuse_unproven(struct context *c, struct plan *p, enum phase phase,
                     struct err *err) MUST_CHECK;

/* ask.c: the plan's name for a point of no return; NULL where there's nobody to ask. */
const char *ask_plan_name(struct context *c, const struct plan *p, const char *why);

/* For kill and flags: no ledger behind it. */
struct flag_ops;
void context_flag_ops(struct context *c, struct flag_ops *out);

/* ---- backfill_found.c */
struct backfill_found;
/* What a verification found. False: a row is wrong. */
bool backfill_show_found(struct context *c, const struct backfill_found *all, int n);

/* show_plan.c: shared forms of answers */
const char *when_text(struct arena *a, int64_t epoch_ms); /* RFC 3339, "" for 0 */
const char *span_text(struct arena *a, int64_t ms);    /* "1m30s"; no milliseconds of a forecast */
const char *size_text(struct arena *a, int64_t bytes); /* "12 MiB" */
void when_json(struct json_out *j, const char *key, int64_t epoch_ms);
void show_refusals(struct context *c, const struct decision *d);
/* The lines that show_refusals prints; scratch for what needs cleaning. */
void refusals_text(const struct out *o, struct arena *scratch, struct str *to,
                   const struct decision *d);
void refusals_json(struct json_out *j, const char *key, const struct decision *d);
void show_advance(struct context *c, const struct plan *p, const struct advance_result *r);
/* m NULL: the command asks for no proof. */
void advance_json(struct json_out *j, const char *key, const struct plan *p,
                  const struct advance_result *r, const struct made_proof *m);
void show_dry_run(struct context *c, const struct plan *p, enum phase_event ev,
                  const struct dry_run *d);
void dry_run_json(struct json_out *j, const char *key, const struct plan *p, enum phase_event ev,
                  const struct dry_run *d);
struct advance_options advance_options_of(struct context *c);
/* ERR_USAGE when neither the release list nor a plan names it. NULL: nothing to ask. */
bool context_release_known(struct context *c, const char *release, struct err *err);
/* rollback, restore, purge: one shape. k NULL: it asks for no proof. */
bool run_backwards(struct context *c, struct proving *k, enum phase_event ev,
                   bool (*fn)(struct engine *, struct plan *, const struct advance_options *,
                              struct arena *, struct advance_result *, struct err *),
                   struct err *err) MUST_CHECK;

/* cmd_check.c: a finished report in every format that was asked for, and the exit code that it gives. */
struct report;
struct suppression;
bool check_show(struct context *c, const struct report *r, struct err *err) MUST_CHECK;

bool check_write_files(struct context *c, const struct report *r, struct err *err) MUST_CHECK;
void check_print(struct context *c, const struct report *r);
/* check_failed.c: it ended with this error before it had looked. Unreadable input is a finding in every format. */
void check_failed(struct context *c, const struct err *err);

/* check_against.c: what was applied in an environment and edited since, as findings. */
bool check_against(struct context *c, struct report *r, struct err *err) MUST_CHECK;
/* Before: is there such an environment? It is the command's from then on. */
bool check_against_named(struct context *c, const char *environment, struct err *err) MUST_CHECK;

/* early_baseline.c: the baseline as the project file names it, before the project is loaded, for a shadow that starts meanwhile. False:
 * the file can't be read, which is for whoever loads it to say, or it names none. All in arena a. */
struct shadow_baseline;
bool cache_baseline(struct context *c, struct arena *a, struct shadow_baseline *out);

/* check_files.c: the line of a file that is shown under a finding. */
const char *check_line(void *ctx, const char *file,
                       int line); /* ctx: the context; NULL: no such line */
/* Every git of ours runs with these: git 2.38 and newer know the first. In the context's arena. */
#define CHECK_GIT_SAFE "safe.bareRepository=explicit"
const char *const *check_git_env(struct context *c);
const char *check_prefix(
    struct context *c); /* "db/": of the project in its repository; NULL: none */
/* Suppressions among the comments of a file of YAML, where nothing reads them. */
void check_yaml_comments(struct context *c, const char *file, struct report *r);
/* Is the release known at which a suppression ends? */
void check_until(struct context *c, const struct suppression *s, struct report *r);
bool check_baseline_is_there(struct context *c); /* false: a problem says what lacks */
bool check_baseline_is_folder(const struct context *c);

/* cmd_show.c: the policy in force, and where each value comes from. How many there are. */
#define POLICY_SETTINGS 32
struct setting {
    const char *name, *value, *origin;
};
int policy_settings(struct context *c, struct setting *out);

/* help.c */
void help_general(struct str *to);
void help_command(struct str *to, const struct command *c);

#endif
