/* check --since: what a branch changed, and the baseline as it was before it. Not seen outside of cli. */
#ifndef PHASEGATE_CLI_CHECK_SINCE_H
#define PHASEGATE_CLI_CHECK_SINCE_H

#include "cli.h"

#include "phasegate/check.h"

/* A folder of a commit's tree, as git lists it. */
struct since_entry {
    enum { SINCE_FILE, SINCE_LINK, SINCE_FOLDER, SINCE_MODULE } kind;
    const char *object, *name;
};
struct since_folder {
    const char *path;            /* from the top, "" for it */
    struct since_entry *entries; /* ascending by name */
    int n;
};

/* A repository and where the branch left it; those of submodules stand behind the first. */
struct since_repo {
    const char *top;     /* the folder that its names count from */
    const char *git_dir; /* of a submodule; NULL: git finds it from top */
    const char *commit;
    struct since_folder *folders;
    int n;
};

enum { SINCE_REPOS = 64, SINCE_BUCKETS = 4096 };

struct since_file { /* that was compared */
    const char *path;
    bool is_changed;
    int next; /* in its bucket; -1: the last */
};

struct since {
    struct context *c;
    const char *ref; /* as it is shown; NULL: nobody asks */
    struct since_repo *repos;
    int n_repos;
    struct since_file *files;
    int n_files;
    int *buckets; /* [SINCE_BUCKETS] the newest file of each, -1: none */
    int baseline; /* did it change? -1: nobody looked so far */
    int others;   /* see since_breaks_others; -1: nobody looked so far */
    struct check_before before;
    struct err err; /* what kept a file from being compared: it counts as changed */
};

/* Where did the branch leave ref? ERR_USAGE: git knows no such place. */
bool since_begin(struct since *s, struct context *c, const char *ref, struct err *err) MUST_CHECK;
/* Isn't this file of the project what it was? By its content: git isn't asked what changed. */
bool since_has(struct since *s, const char *file);
/* Isn't the baseline, or one of its files? */
bool since_has_baseline(struct since *s);
/* Was something edited or taken away on which statements that stayed the same may stand: a plan, or a statement that a
 * release no longer has? What is new breaks others at its own place. */
bool since_breaks_others(struct since *s);
/* What asks git for the baseline of before, once something fails; NULL: it is what it was. */
const struct check_before *since_before(struct since *s);
/* False: some file couldn't be compared. */
bool since_end(struct since *s, struct err *err) MUST_CHECK;

/* check_before.c: the baseline of before. ctx: a struct since. */
bool since_fetch(void *ctx, struct before_files *out, struct err *err) MUST_CHECK;

/* A file of the project by its way from the machine's root. */
const char *since_path(struct context *c, const char *file);
/* The real one; NULL: it isn't there. */
const char *since_real(struct arena *a, const char *path);
/* Is it one of a baseline's folder? */
bool since_is_sql(const char *name);
/* Isn't the file at path what the thing was? It may be gone, or be none. */
struct since_thing;
bool since_differs(const char *path, const struct since_thing *then);

/* ---- since_tree.c: what git has ---- */

/* UNKNOWN: in a submodule that isn't one any more. */
enum since_where { SINCE_NOWHERE, SINCE_A_FILE, SINCE_A_FOLDER, SINCE_OUTSIDE, SINCE_UNKNOWN };
/* What stood at a path then. Links were followed as they led then. */
struct since_thing {
    enum since_where where;
    const char *object;
    struct since_repo *repo;
    const char *path; /* from the top of its repository, where links led */
};
bool since_find(struct since *s, const char *path, struct since_thing *out,
                struct err *err) MUST_CHECK;
/* A folder that since_find found. */
bool since_list(struct since *s, const struct since_thing *folder, struct since_folder *out,
                struct err *err) MUST_CHECK;
bool since_folder_has(const struct since_folder *f, const char *name);
/* Lists many folders of the first repository at once, before somebody asks for them one by one. */
bool since_list_ahead(struct since *s, const char *const *paths, int n, struct err *err) MUST_CHECK;
/* Contents, all from one process; NULL where git has none. */
bool since_read(struct since *s, const struct since_thing *const *things, int n, struct str *out,
                struct err *err) MUST_CHECK;
/* argv from git's command on; out is empty where code isn't 0. repo NULL: at the project's root. False: git can't be run. */
bool since_git(struct since *s, const struct since_repo *repo, const char *const *argv,
               const struct str *input, struct str *out, struct str *said, int *code,
               struct err *err) MUST_CHECK;
/* Of what git said, the line that is its error: what it advises besides may come before. */
const char *since_git_error(struct arena *a, const char *said);
/* From where a path counts in the repository; NULL: it isn't in it. */
const char *since_below(const struct since_repo *r, const char *path);

#endif
