/* statements_load: all statements of a release, from its files. One file is statements.c's. */
#include "phasegate/statements.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- all of them ------------------------------------------------------------------------------------- */

/* Both can hold at once unless one flag is on in one and off in the other. */
static bool may_both_apply(const struct statement *a, const struct statement *b)
{
    for (int i = 0; i < a->n_when; i++)
        for (int k = 0; k < b->n_when; k++)
            if (strcmp(a->when[i].flag, b->when[k].flag) == 0 && a->when[i].on != b->when[k].on)
                return false;
    return true;
}

struct named {
    const char *name;
    int at;
};

static int by_name(const void *x, const void *y)
{
    const struct named *a = x, *b = y;
    int order = strcmp(a->name, b->name);

    return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* b and what stands before it under its name. False: a problem was added. */
static bool validate_one(const struct statement *items, const struct named *first,
                         const struct named *b_at, struct problem_list *problems)
{
    const struct statement *b = &items[b_at->at];

    for (const struct named *k = first; k < b_at; k++) {
        const struct statement *a = &items[k->at];

        if (may_both_apply(a, b)) {
            problem_add(problems, b->at,
                        "variants that exclude each other: flag=on here, flag=off there", NULL,
                        "two statements \"%s\" that may both apply; the other is at %s:%d", b->name,
                        a->at.file, a->at.line);
            return false;
        }
        if (a->n_params != b->n_params) {
            problem_add(problems, b->at, NULL, NULL,
                        "variants of \"%s\" take %d and %d parameters; the other is at %s:%d",
                        b->name, a->n_params, b->n_params, a->at.file, a->at.line);
            return false;
        }
    }
    return true;
}

bool statements_validate(const struct statements *s, struct problem_list *problems)
{
    AUTO(arena) a = {0};
    struct named *sorted = arena_array(&a, struct named, s->n);
    int *place = arena_array(&a, int, s->n), *first = arena_array(&a, int, s->n);
    bool good = true;

    for (int i = 0; i < s->n; i++)
        sorted[i] = (struct named) {s->items[i].name, i};
    qsort(sorted, (size_t) s->n, sizeof *sorted, by_name);
    for (int i = 0; i < s->n; i++) {
        bool again = i > 0 && strcmp(sorted[i].name, sorted[i - 1].name) == 0;

        place[sorted[i].at] = i;
        first[i] = again ? first[i - 1] : i;
    }
    /* In the order of the files, so that the first problem is the first there. */
    for (int i = 0; i < s->n; i++)
        good =
            validate_one(s->items, &sorted[first[place[i]]], &sorted[place[i]], problems) && good;
    return good;
}

const struct statement *statement_pick(const struct statements *s, const char *name,
                                       bool (*is_on)(void *ctx, const char *flag), void *ctx)
{
    for (int i = 0; i < s->n; i++) {
        const struct statement *st = &s->items[i];
        bool holds = strcmp(st->name, name) == 0;

        for (int w = 0; holds && w < st->n_when; w++)
            holds = is_on(ctx, st->when[w].flag) == st->when[w].on;
        if (holds)
            return st;
    }
    return NULL;
}

/* ---- files ------------------------------------------------------------------------------------------- */

static bool load_file(struct arena *a, const char *path, const char *shown, enum param_style style,
                      struct statements *out, struct problem_list *problems, bool *good,
                      struct err *err)
{
    AUTO(str) text = {0};

    if (!regular_read(path, shown, STATEMENTS_FILE_MAX, &text, err))
        return false;
    if (!statements_parse(a, shown, str_text(&text), text.len, style, out, problems))
        *good = false;
    return true;
}

static int is_ours(const struct dirent *e) { return e->d_name[0] != '.'; }

static bool ends_in_sql(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcasecmp(name + n - 4, ".sql") == 0;
}

/* Statements that nobody reads would be statements that nothing breaks. False: it is none of ours. */
static bool is_to_read(const char *path, const char *shown, const char *name,
                       struct problem_list *problems, bool *good)
{
    struct stat st;
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    const struct pos at = {shown, 0, 0};

    if (is_folder) {
        problem_add(problems, at, "files that end in .sql", "name it in statements: as well",
                    "a folder within a folder of statements isn't read");
        *good = false;
    } else if (ends_in_sql(name) && strcmp(name + strlen(name) - 4, ".sql") != 0) {
        problem_add(problems, at, "a name that ends in .sql, in small letters", "rename it",
                    "it isn't read as a file of statements");
        *good = false;
    } else {
        return ends_in_sql(name);
    }
    return false;
}

/* Whatever the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool load_folder(struct arena *a, const char *path, const char *shown,
                        enum param_style style, struct statements *out,
                        struct problem_list *problems, bool *good, struct err *err)
{
    struct dirent **found = NULL;
    int n = scandir(path, &found, is_ours, by_bytes);
    bool read = n >= 0;

    if (n < 0)
        err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *file = arena_printf(a, "%s/%s", path, found[i]->d_name);
        const char *in = arena_printf(a, "%s/%s", shown, found[i]->d_name);

        if (read && is_to_read(file, in, found[i]->d_name, problems, good))
            read = load_file(a, file, in, style, out, problems, good, err);
        free(found[i]);
    }
    free(found);
    return read;
}

bool statements_load(struct arena *a, const char *root, const struct text_list *paths,
                     enum param_style style, struct statements *out, struct problem_list *problems,
                     struct err *err)
{
    bool good = true;
    struct stat st;

    for (int i = 0; i < paths->n; i++) {
        const char *shown = paths->items[i].s;
        const char *path = *shown == '/' ? shown : arena_printf(a, "%s/%s", root, shown);

        if (stat(path, &st) != 0) {
            problem_add(problems, paths->items[i].at, "a .sql file or a folder of them", NULL,
                        "%s: %s", shown, strerror(errno));
            good = false;
        } else if (!(S_ISDIR(st.st_mode) ? load_folder : load_file)(a, path, shown, style, out,
                                                                    problems, &good, err)) {
            return false;
        }
    }
    if (!statements_validate(out, problems))
        good = false;
    if (good)
        return true;
    AUTO(str) first = {0};
    if (problems->n > 0)
        problem_text(&first, &problems->items[0]);
    return err_set(err, ERR_INPUT, "%s", str_text(&first));
}

bool statements_load_release(struct arena *a, const char *root, const struct release *r,
                             struct statements *out, struct problem_list *problems, struct err *err)
{
    enum param_style style = PARAMS_DOLLAR;

    /* A word that is none has its problem since the project file was read. */
    (void) !param_style_from_word(r->params.s, &style);
    return r->statements.n == 0 ||
           statements_load(a, root, &r->statements, style, out, problems, err);
}
