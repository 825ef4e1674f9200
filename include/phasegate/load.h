/* load: bytes -> model. No network, no database, no environment variables.
 *
 * Errors are gathered: one call reports every problem of every file, each with file:line:column, what
 * was expected and the nearest right word. `problems` is filled even when the function returns false.
 */
#ifndef PHASEGATE_LOAD_H
#define PHASEGATE_LOAD_H

#include "phasegate/data_needs.h"
#include "phasegate/err.h"
#include "phasegate/model.h"
#include "phasegate/problem.h"

/* The project file and all plans below plans:, each checked by itself and against the others (it ends
 * with plan_set_validate). config_path NULL: phasegate.yaml in dir. False with ERR_INPUT when there was
 * any problem (err says how many and shows the first; problems has all), or when a file can't be read.
 * On false *out may still hold what was understood: free it either way. */
bool plan_set_load(const char *dir, const char *config_path, struct plan_set *out,
                   struct problem_list *problems, struct err *err);
/* Likewise for thousands of plans of which few are worked on. Every plan is read, checked and signed; those
 * for which whole() says no then keep only their head: id, timestamp, database, title, author, compensates,
 * depends_on, flags, file, the plan's checksum, how sync is done, and of the phases present, none, release
 * and hold. is_head tells. That takes 2.3 kB a plan instead of 8. whole() sees each plan in full, and may
 * change what it sees: nothing of it is kept. whole NULL: heads only. */
bool plan_set_load_some(const char *dir, const char *config_path,
                        bool (*whole)(void *ctx, struct plan *p), void *ctx, struct plan_set *out,
                        struct problem_list *problems, struct err *err);
/* After a load that found problems: takes the plans whose files have some out of the set, into s->spared, when nothing
 * else has any. False: something else has, no plan is without, or there are more than are known; nothing was changed. */
bool plan_set_spare(struct plan_set *s, const struct problem_list *problems);
/* Makes a head whole, from its file. ERR_INPUT when the file can't be read any more or says something else
 * than it did; nothing to do for a plan that is whole. */
bool plan_set_fill(struct plan_set *s, struct plan *p, struct err *err);
/* Likewise, but p stays a head: out is the whole plan, in arena a. For a walk over thousands of them. */
bool plan_set_read(const struct plan_set *s, const struct plan *p, struct arena *a,
                   struct plan *out, struct err *err);
/* For fuzzing, editors and tests: one file from memory, checked by itself (plan_validate included). path
 * is only for messages and positions; the model keeps its own copies, bytes may go. False: problems. */
bool plan_parse(struct arena *a, const char *path, const char *bytes, size_t n, struct plan *out,
                struct problem_list *problems);
bool project_parse(struct arena *a, const char *path, const char *bytes, size_t n,
                   struct project *out, struct problem_list *problems);
void plan_set_free(struct plan_set *s);
static inline void plan_set_auto(struct plan_set *s) { plan_set_free(s); }

/* What one statement asks of the rows that are there, in its order: see data_needs.h. None of one that can't be parsed,
 * and nothing of rows that it makes itself. */
void data_needs_of(struct arena *a, const struct sql_stmt *s, struct data_need_list *out);

/* What a text names, each thing once, in the order met; bodies of functions, which are strings, are read as texts as well. */
struct sql_mentions {
    struct text_list
        strings; /* as values: without quotes; those of up to MENTION_LONGEST bytes in one line */
    struct text_list words; /* names within such strings: "address" and "zip" of '{address,zip}' */
    struct text_list numbers; /* as written, without a sign */
    struct text_list names;   /* folded, keywords too */
};
enum { MENTION_LONGEST = 60 };
/* Adds to what is in *out already, which begins as {0}. Positions in the lists are not set. */
void sql_mentions_add(struct arena *a, const char *sql, struct sql_mentions *out);

/* SQL facts of every step of one plan (libpg_query): statements, classes, locks, derived applied_when and
 * undo; also the phase rules that the parse tree decides: a step that isn't additive in expand, a
 * destructive one outside contract. False with ERR_INPUT and problems. */
bool plan_sql_facts(struct plan_set *s, struct plan *p, struct problem_list *problems,
                    struct err *err);
/* The same with the facts in arena a, which must live as long as what plan_set_read has put there. */
bool plan_sql_facts_in(struct arena *a, struct plan *p, struct problem_list *problems,
                       struct err *err);
/* Facts of one SQL text, for tests and for SQL that phasegate generates. out in arena a. */
bool sql_facts(struct arena *a, const char *sql, struct pos at, struct sql_stmt **out, int *out_n,
               struct problem_list *problems);

/* An expression that is a column of its row and nothing else but casts, COLLATE, and constants that are put before or behind
 * it (||) or added (+, -), or NULL instead (NULLIF, CASE with one WHEN): as far as the casts let them be, other values of
 * the column are other values of it, or NULL. NULL it gives for NULL. */
#define COLUMN_EXPR_CASTS 4
struct column_cast {
    const char *type; /* "int4"; what || makes is "text" */
    int64_t typmod;   /* as in pg_attribute.atttypmod; -1: none */
};
struct column_expr {
    const char *column;
    struct column_cast casts[COLUMN_EXPR_CASTS]; /* innermost first */
    int n_casts;
    bool makes_null; /* of a value, too */
};
/* False: it is something else, or no expression. */
bool expr_of_column(struct arena *a, const char *expr, struct column_expr *out);

/* A file for reading, never anything that a read could wait for or that doesn't end: a descriptor, or -1 with ERR_INPUT
 * when it isn't there, isn't a regular file or is larger than max bytes. shown names it in the message. */
int regular_open(const char *path, const char *shown, int64_t max, struct err *err);
/* All of it, appended to out. */
bool regular_read(const char *path, const char *shown, int64_t max, struct str *out,
                  struct err *err);

/* Is the file what git keeps as blob `object` (40 or 64 hex digits), as it is, with its CR LF as LF, or by the
 * pointer to it that LFS keeps there? Git isn't asked, and no filter is run. False as well: it can't be read. */
bool file_is_blob(const char *path, const char *object);

/* ${VAR} in text, from lookup (returns NULL when unset). Unset: ERR_CONFIG naming the variable and the place. */
bool text_resolve(const struct text *t, const char *(*lookup)(void *ctx, const char *name),
                  void *ctx, struct str *out, struct err *err);
void sha256_hex(const void *bytes, size_t n, char out[65]);
/* Fills step->checksum, phase_checksum, checksum and those of the checklist and of go and no-go, in arena a; plan_parse has done so already. They are
 * over what the plan says, not over how the file is written (comments, white space, order of keys).
 * A step's: what would run (sql, command, transaction, dbms). A phase's: everything that decides what the
 * phase does, its flags, sync and gates too. The plan's: every word of it. */
void plan_checksums(struct arena *a, struct plan *p);

#endif
