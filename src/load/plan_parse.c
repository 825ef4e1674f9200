#include "load/loader.h"
#include "load/tables.h"

/* Problems are counted with what was cut, so that a plan isn't taken for good only because the list is full. */
static bool has_grown(const struct problem_list *l, int n_before, bool cut_before)
{
    return l->n > n_before || (l->cut && !cut_before) || l->n == LOAD_MAX_PROBLEMS;
}

/* Of a file with mistakes: is every entry of flags: a flag that was understood? Without flags: there may be one under
 * a misspelt key. */
static bool hides_flags(const struct node *root, const struct plan *plan)
{
    const struct node *flags = root ? node_get(root, "flags") : NULL;
    const enum phase rolled_out_in[FLAG_ROLES] = {PHASE_DUAL_READ, PHASE_WRITE_ACTIVATION};
    int known = 0;

    if (!flags || flags->kind != NODE_MAP)
        return true;
    for (int role = 0; role < FLAG_ROLES; role++) {
        if (!plan->flags[role].key.s && plan->phases[rolled_out_in[role]].rollout.n > 0)
            return true;
        known += plan->flags[role].key.s != NULL;
    }
    return known < (int) flags->n;
}

bool plan_parse_with(struct parsing *parsing, struct arena *a, const char *file, const char *bytes,
                     size_t n, struct plan *out, struct problem_list *problems)
{
    struct plan plan = {0};
    struct decoder d = {.arena = a, .file = file, .problems = problems};
    int n_before = problems->n;
    bool cut_before = problems->cut;

    arena_reset(&parsing->scratch);
    struct node *root = yaml_tree_parse(&parsing->scratch, file, bytes, n, problems);
    decode_defaults(&plan_table, &plan);
    plan.file = file;
    if (root) {
        decode_part(&d, root, &plan_table, &plan);
        if (!plan.database.s)
            plan.database = (struct text) {"default", plan.id.at};
        const struct node *phases = node_get(root, "phases");
        if (phases && phases->kind == NODE_MAP)
            plan_validate(&plan, problems);
        plan_checksums_by(&parsing->hasher, a, &plan);
    }
    bool good = root && !d.failed && !has_grown(problems, n_before, cut_before);
    plan.flags_unread = !good && hides_flags(root, &plan);
    *out = plan;
    return good;
}

bool plan_parse(struct arena *a, const char *path, const char *bytes, size_t n, struct plan *out,
                struct problem_list *problems)
{
    AUTO(parsing) parsing = {0};

    parsing_init(&parsing);
    return plan_parse_with(&parsing, a, arena_strdup(a, path), bytes, n, out, problems);
}
