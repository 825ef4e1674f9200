/* check --since: what a branch changed, and the baseline as it was before it. Not seen outside of cli. */
#ifndef PHASEGATE_CLI_CHECK_SINCE_H
#define PHASEGATE_CLI_CHECK_SINCE_H

#include "cli.h"

#include "phasegate/check.h"

struct since {
    struct context *c;
    const char *ref;          /* NULL: nobody asks */
    const char *top;          /* of the repository */
    struct text_list changed; /* from where the branch left, by their way from the machine's root */
    struct check_before before;
    const char *folder; /* private, with the baseline of before; NULL: none */
};

/* Asks git what changed, staged or not, and new files too. */
bool since_begin(struct since *s, struct context *c, const char *ref, struct err *err) MUST_CHECK;
/* Is this file of the project among what changed (or one below it)? */
bool since_has(const struct since *s, const char *file, bool with_below);
/* What asks git for the baseline of before, once something fails; NULL: it is what it was. */
const struct check_before *since_before(struct since *s);
/* Removes what was fetched. */
void since_end(struct since *s);

/* check_before.c: the baseline of before. ctx: a struct since. */
bool since_fetch(void *ctx, struct before_files *out, struct err *err) MUST_CHECK;

/* A file of the project by its way from the machine's root. */
const char *since_path(struct context *c, const char *file);
/* The real one; NULL: it isn't there. */
const char *since_real(struct arena *a, const char *path);
/* argv from git's command on, at the top of the repository; out is empty where code isn't 0. False: git can't be run. */
bool since_git(const struct since *s, const char *const *argv, struct str *out, int *code,
               struct err *err) MUST_CHECK;

#endif
