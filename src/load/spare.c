/* Plan files that can't be understood, set aside. */
#include "load/loader.h"
#include "phasegate/load.h"

#include <ctype.h>
#include <string.h>

static bool is_plan_file(const struct plan_set *s, const char *file)
{
    const char *dir = s->project.plans_dir.s ? s->project.plans_dir.s : "plans";
    size_t n = strlen(dir);

    return file && strncmp(file, dir, n) == 0 && file[n] == '/';
}

/* "plans/20260101000000-orders-ref.yaml": orders-ref. */
static const char *id_of_name(struct arena *a, const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;

    while (isdigit((unsigned char) *name))
        name++;
    name += *name == '-';
    const char *dot = strrchr(name, '.');
    return arena_strndup(a, name, dot ? (size_t) (dot - name) : strlen(name));
}

static bool has_problem(const struct problem_list *problems, const char *file)
{
    for (int i = 0; i < problems->n; i++)
        if (problems->items[i].at.file && strcmp(problems->items[i].at.file, file) == 0)
            return true;
    return false;
}

static bool has(const struct plan_set *s, const char *file)
{
    for (int i = 0; i < s->n_spared; i++)
        if (strcmp(s->spared[i].file, file) == 0)
            return true;
    return false;
}

static void add(struct plan_set *s, const struct problem *p)
{
    struct spared *out = &s->spared[s->n_spared++];
    AUTO(str) why = {0};

    problem_text(&why, p);
    *out = (struct spared) {.file = arena_strdup(&s->arena, p->at.file),
                            .why = arena_strdup(&s->arena, str_text(&why))};
    for (int i = 0; i < s->n_plans; i++)
        if (strcmp(s->plans[i].file, out->file) == 0) {
            struct plan *copy = arena_new(&s->arena, struct plan);
            *copy = s->plans[i];
            out->plan = copy;
            out->id = copy->id.s;
        }
    if (!out->id)
        out->id = id_of_name(&s->arena, out->file);
}

bool plan_set_spare(struct plan_set *s, const struct problem_list *problems)
{
    int n = 0, n_good = 0;

    for (int i = 0; i < s->n_plans; i++)
        n_good += !has_problem(problems, s->plans[i].file);
    for (int i = 0; i < problems->n; i++)
        if (!is_plan_file(s, problems->items[i].at.file))
            return false;
    if (problems->cut || problems->n == 0 || n_good == 0)
        return false;
    s->spared = arena_array(&s->arena, struct spared, problems->n);
    for (int i = 0; i < problems->n; i++)
        if (!has(s, problems->items[i].at.file))
            add(s, &problems->items[i]);
    for (int i = 0; i < s->n_plans; i++)
        if (!has(s, s->plans[i].file))
            s->plans[n++] = s->plans[i];
    s->n_plans = n;
    plan_set_index(s);
    return true;
}
