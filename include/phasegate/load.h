/* load: bytes -> model. No network, no database, no environment variables.
 *
 * Errors are gathered: one call reports every problem of every file, each with file:line:column, what
 * was expected and the nearest right word. `problems` is filled even when the function returns false.
 */
#ifndef PHASEGATE_LOAD_H
#define PHASEGATE_LOAD_H

#include "phasegate/err.h"
#include "phasegate/model.h"

struct problem {
    struct pos at;
    const char *message;  /* "unknown key \"fase\"" */
    const char *expected; /* "one of: plan, timestamp, ..."; NULL */
    const char *hint;     /* "did you mean \"phases\"?"; NULL */
    const char *rule;     /* rule id where a rule says no; NULL */
};

struct problem_list {
    struct arena arena;
    struct problem *items;
    int n;
    bool cut; /* more than LOAD_MAX_PROBLEMS */
};
#define LOAD_MAX_PROBLEMS 100
void problem_list_free(struct problem_list *l);
static inline void problem_list_auto(struct problem_list *l) { problem_list_free(l); }
void problem_add(struct problem_list *l, struct pos at, const char *expected_or_null, const char *hint_or_null,
                 const char *fmt, ...) PRINTF_LIKE(5, 6);

/* The project file and all plans below plans:. config_path NULL: phasegate.yaml in dir. False with
 * ERR_INPUT when there was any problem (err says how many and shows the first; problems has all), or
 * when a file can't be read. On false *out may still hold what was understood: free it either way. */
bool plan_set_load(const char *dir, const char *config_path, struct plan_set *out, struct problem_list *problems,
                   struct err *err);
/* For fuzzing, editors and tests: one file from memory. path is only for messages. */
bool plan_parse(struct arena *a, const char *path, const char *bytes, size_t n, struct plan *out,
                struct problem_list *problems);
bool project_parse(struct arena *a, const char *path, const char *bytes, size_t n, struct project *out,
                   struct problem_list *problems);
void plan_set_free(struct plan_set *s);
static inline void plan_set_auto(struct plan_set *s) { plan_set_free(s); }

/* Relations among plans: unique ids and timestamps, dependencies (exist, earlier timestamp, no cycle),
 * ascending releases, phases present or absent with a reason, gates that exist. Pure (core). */
void plan_set_validate(const struct plan_set *s, struct problem_list *problems);
/* Plans in the order in which a release takes them: dependencies first, then timestamps. `out` has room
 * for n_plans; cycles were refused by plan_set_validate. */
void plan_set_order(const struct plan_set *s, const struct plan **out);

/* SQL facts of every step of one plan (libpg_query): statements, classes, locks, derived applied_when and
 * undo, the checksums of steps, phases and plan; also the phase rules that the parse tree decides: a step
 * that isn't additive in expand, a destructive one outside contract. False with ERR_INPUT and problems. */
bool plan_sql_facts(struct plan_set *s, struct plan *p, struct problem_list *problems, struct err *err);
/* Facts of one SQL text, for tests and for SQL that phasegate generates. out in arena a. */
bool sql_facts(struct arena *a, const char *sql, struct pos at, struct sql_stmt **out, int *out_n,
               struct problem_list *problems);

/* ${VAR} in text, from lookup (returns NULL when unset). Unset: ERR_CONFIG naming the variable and the place. */
bool text_resolve(const struct text *t, const char *(*lookup)(void *ctx, const char *name), void *ctx,
                  struct str *out, struct err *err);
void sha256_hex(const void *bytes, size_t n, char out[65]);

#endif
