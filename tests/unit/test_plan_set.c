#include "load_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---- folders --------------------------------------------------------------------------------------- */

struct folder {
    char path[64];
};
static void folder_auto(struct folder *f)
{
    AUTO(str) command = {0};

    str_addf(&command, "rm -rf '%s'", f->path);
    assert_int_equal(system(str_text(&command)), 0);
}

static void folder_make(struct folder *f)
{
    strcpy(f->path, "/tmp/test_load.XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

static void folder_add(const struct folder *f, const char *name, const char *text)
{
    AUTO(str) path = {0};

    str_addf(&path, "%s/%s", f->path, name);
    for (char *slash = path.text + strlen(f->path) + 1; (slash = strchr(slash, '/')) != NULL;
         slash++) {
        *slash = '\0';
        mkdir(path.text, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path.text, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* plan_text with another id, time and flags. */
static void folder_add_plan(const struct folder *f, const char *name, const char *id,
                            const char *stamp)
{
    AUTO(str) one = {0};
    AUTO(str) two = {0};
    AUTO(str) three = {0};
    AUTO(str) four = {0};
    AUTO(str) flag = {0};

    replaced(&one, plan_text, "orders-reference", id);
    replaced(&two, str_text(&one), "20261114093000", stamp);
    str_addf(&flag, "%s-read", id);
    replaced(&three, str_text(&two), "orders-read", str_text(&flag));
    str_clear(&flag);
    str_addf(&flag, "%s-write", id);
    replaced(&four, str_text(&three), "orders-write", str_text(&flag));
    folder_add(f, name, str_text(&four));
}

static void folder_is_walked(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\nplans: plans/\n");
    folder_add_plan(&f, "plans/20270101000000-c.yaml", "c", "20270101000000");
    folder_add_plan(&f, "plans/2026/20260101000000-a.yaml", "a", "20260101000000");
    folder_add_plan(&f, "plans/2026/late/20261231235959-b.yaml", "b", "20261231235959");
    folder_add(&f, "plans/README.md", "not a plan");
    folder_add(&f, "plans/data.sql", "SELECT 1");
    folder_add(&f, "plans/.20260101000000-a.yaml.swp", "an editor's");
    assert_true(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_int_equal(set.n_plans, 3);
    assert_string_equal(set.plans[0].id.s, "a");
    assert_string_equal(set.plans[1].id.s, "b");
    assert_string_equal(set.plans[2].id.s, "c");
    assert_string_equal(set.plans[1].file, "plans/2026/late/20261231235959-b.yaml");
    assert_string_equal(set.project.file, "phasegate.yaml");
    assert_string_equal(set.project.root, f.path);
    assert_ptr_equal(plan_find(&set, "c"), &set.plans[2]);
}

static void names_of_files_matter(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yml", "a", "20260101000000");
    folder_add_plan(&f, "plans/orders.yaml", "b", "20260101000001");
    folder_add_plan(&f, "plans/20260101000002-C.yaml", "c", "20260101000002");
    folder_add_plan(&f, "plans/20260101000003-d.yaml", "d", "20260101000004");
    folder_add_plan(&f, "plans/20260101000005-e.yaml.bak", "e", "20260101000005");
    folder_add_plan(&f, "plans/20260101000006-f.YAML", "f", "20260101000006");
    folder_add_plan(&f, "plans/20260101000007-g.yaml/20260101000007-g.yaml", "g", "20260101000007");
    assert_false(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_true(err_is(&err, ERR_INPUT));
    assert_int_equal(problems.n, 7);
    assert_problem(&problems, "plans/20260101000000-a.yml: plans end in .yaml, not .yml; expected "
                              "YYYYMMDDHHmmss-name.yaml");
    assert_problem(
        &problems,
        "plans/orders.yaml: not a name of a plan's file; expected YYYYMMDDHHmmss-name.yaml");
    assert_problem(&problems, "plans/20260101000002-C.yaml: not a name of a plan's file");
    assert_problem(&problems, "plans/20260101000003-d.yaml:3:12: timestamp 20260101000004; "
                              "expected 20260101000003, as the name of the file says");
    assert_problem(&problems, "plans/20260101000005-e.yaml.bak: not a name of a plan's file");
    assert_problem(&problems, "plans/20260101000006-f.YAML: not a name of a plan's file");
    assert_problem(&problems, "plans/20260101000007-g.yaml: it is a folder");
}

static void unreadable_files_are_problems(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};
    AUTO(str) path = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    str_addf(&path, "%s/plans/20260101000001-b.yaml", f.path);
    assert_int_equal(symlink("/nowhere/at/all", str_text(&path)), 0);
    str_clear(&path);
    str_addf(&path, "%s/plans/20260101000002-c.yaml", f.path);
    assert_int_equal(mkfifo(str_text(&path), 0600), 0);
    str_clear(&path);
    str_addf(&path, "%s/plans/again", f.path);
    assert_int_equal(symlink(".", str_text(&path)), 0);
    assert_false(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_problem(&problems,
                   "plans/20260101000001-b.yaml: can't be read: No such file or directory");
    assert_problem(&problems, "plans/20260101000002-c.yaml: not a regular file");
    assert_problem(&problems, "plans/again: a link that leads back to a folder above it");
    assert_int_equal(problems.n, 3);
    assert_non_null(plan_find(&set, "a")); /* what could be understood is there all the same */
}

static void missing_things_are_said(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    assert_false(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_true(err_is(&err, ERR_INPUT));
    assert_non_null(strstr(str_text(&err.message),
                           "/phasegate.yaml: can't be read: No such file or directory"));
    assert_non_null(strstr(str_text(&err.hint), "phasegate init"));
    plan_set_free(&set);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\nplans: changes\n");
    assert_false(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_non_null(strstr(str_text(&err.message), "phasegate.yaml:2:8: \"plans\": the folder "
                                                   "changes can't be read"));
}

static bool is_b(void *ctx, struct plan *p)
{
    (*(int *) ctx)++;
    return p->id.s && strcmp(p->id.s, "b") == 0;
}

static void heads_are_light_and_can_be_filled(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) all = {0};
    AUTO(plan_set) some = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};
    int asked = 0;

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    folder_add_plan(&f, "plans/20260101000001-b.yaml", "b", "20260101000001");
    assert_true(plan_set_load(f.path, NULL, &all, &problems, &err));
    assert_true(plan_set_load_some(f.path, NULL, is_b, &asked, &some, &problems, &err));
    assert_int_equal(asked, 2);
    assert_true(some.arena.used < all.arena.used);
    assert_true(some.plans[0].is_head && !some.plans[1].is_head && !all.plans[0].is_head);
    for (int i = 0; i < 2; i++) {
        const struct plan *head = &some.plans[i], *whole = &all.plans[i];
        assert_string_equal(head->checksum, whole->checksum);
        assert_int_equal(head->sync.by, SYNC_COHORT); /* the window of releases depends on it */
        assert_string_equal(head->flags[FLAG_READ].key.s, i ? "b-read" : "a-read");
        assert_string_equal(head->phases[PHASE_EXPAND].release.s, "4.2.0");
        assert_true(head->phases[PHASE_EXPAND].present);
        assert_string_equal(head->phases[PHASE_CONTRACT].none.s, "the old column stays");
    }
    assert_int_equal(some.plans[0].phases[PHASE_EXPAND].steps.n, 0);
    assert_int_equal(some.plans[1].phases[PHASE_EXPAND].steps.n, 1);
    assert_true(plan_set_fill(&some, &some.plans[0], &err));
    assert_false(some.plans[0].is_head);
    assert_int_equal(some.plans[0].phases[PHASE_EXPAND].steps.n, 1);
    assert_string_equal(some.plans[0].checksum, all.plans[0].checksum);
    assert_true(plan_set_fill(&some, &some.plans[0], &err));
}

static void heads_can_be_read_one_after_the_other(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(arena) one = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    folder_add_plan(&f, "plans/20260101000001-b.yaml", "b", "20260101000001");
    assert_true(plan_set_load_some(f.path, NULL, NULL, NULL, &set, &problems, &err));
    size_t used = set.arena.used;
    for (int i = 0; i < 2; i++, arena_reset(&one)) {
        struct plan plan;

        assert_true(set.plans[i].is_head);
        assert_true(plan_set_read(&set, &set.plans[i], &one, &plan, &err));
        assert_false(plan.is_head || plan.has_facts);
        assert_string_equal(plan.id.s, i ? "b" : "a");
        assert_non_null(plan.phase_checksum[PHASE_DUAL_READ]);
        assert_true(plan_sql_facts_in(&one, &plan, &problems, &err));
        assert_true(plan.has_facts);
        assert_int_equal(plan.phases[PHASE_EXPAND].steps.items[0].n_stmts, 1);
        assert_true(set.plans[i].is_head);
    }
    assert_int_equal(set.arena.used, used);
}

/* What is seen in full is checked in full, whether it is kept or not. */
static void heads_hide_no_problem(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) whole = {0};
    AUTO(plan_set) heads = {0};
    AUTO(problem_list) of_whole = {0};
    AUTO(problem_list) of_heads = {0};
    AUTO(err) err_whole = {0};
    AUTO(err) err_heads = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    folder_add_plan(&f, "plans/20260101000001-b.yaml", "a", "20260101000009");
    folder_add(&f, "plans/20260101000002-c.yaml", "phasegate: 1\nplan: c\nphases: {expand: 7}\n");
    assert_false(plan_set_load(f.path, NULL, &whole, &of_whole, &err_whole));
    assert_false(plan_set_load_some(f.path, NULL, NULL, NULL, &heads, &of_heads, &err_heads));
    assert_string_equal(str_text(&err_heads.message), str_text(&err_whole.message));
    assert_true(of_whole.n > 3);
    assert_int_equal(of_heads.n, of_whole.n);
    for (int i = 0; i < of_whole.n; i++) {
        AUTO(str) a = {0};
        AUTO(str) b = {0};

        problem_text(&a, &of_whole.items[i]);
        problem_text(&b, &of_heads.items[i]);
        assert_string_equal(str_text(&b), str_text(&a));
    }
}

static void undoers_are_gathered(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(str) text = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    folder_add_plan(&f, "plans/20260101000001-b.yaml", "b", "20260101000001");
    replaced(&text, plan_text, "plan: orders-reference", "plan: c\ncompensates: a");
    AUTO(str) stamped = {0};
    replaced(&stamped, str_text(&text), "20261114093000", "20260101000002");
    folder_add(&f, "plans/20260101000002-c.yaml", str_text(&stamped));
    assert_true(plan_set_load_some(f.path, NULL, NULL, NULL, &set, &problems, &err));
    assert_string_equal(set.undoers[0]->id.s, "c");
    assert_null(set.undoers[1]);
}

static void changed_file_doesnt_fill(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    assert_true(plan_set_load_some(f.path, NULL, NULL, NULL, &set, &problems, &err));
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "other", "20260101000000");
    assert_false(plan_set_fill(&set, &set.plans[0], &err));
    assert_true(err_is(&err, ERR_INPUT));
    assert_true(set.plans[0].is_head);
}

/* ---- project --------------------------------------------------------------------------------------- */

static void project_is_loaded(void **state)
{
    static const char text[] = "phasegate: 1\n"
                               "releases:\n"
                               "  - {version: \"4.1\", statements: a.sql, driver: pgx}\n"
                               "  - {version: 2026-11, statements: [a.sql, b.sql], driver: "
                               "{protocol: binary, prepared: true}, planned: true}\n"
                               "policy: {approvals: {contract: 2}, approvers: {dba: [alice, bob], "
                               "owner: carol}, kill_drill: 0, rules: {some-rule: off}}\n"
                               "environments:\n"
                               "  production:\n"
                               "    databases: {default: {url: \"${DATABASE_URL}\"}, shards: "
                               "{urls: [a, b], waves: [1, 25%]}}\n"
                               "    flags: {provider: file, path: flags.json}\n"
                               "    notify: [{webhook: a}, {webhook: b, format: slack}]\n"
                               "    policy: {forward_only: true}\n";
    AUTO(arena) arena = {0};
    AUTO(problem_list) problems = {0};
    struct project p;

    (void) state;
    assert_true(project_parse(&arena, "phasegate.yaml", text, sizeof text - 1, &p, &problems));
    assert_string_equal(p.plans_dir.s, "plans");
    assert_int_equal(p.n_releases, 2);
    assert_string_equal(p.releases[0].driver.s, "pgx");
    assert_int_equal(p.releases[1].statements.n, 2);
    assert_true(p.releases[1].driver_prepared && p.releases[1].planned);
    assert_int_equal(p.policy.approvals[PHASE_CONTRACT], 2);
    assert_true(p.policy.approvals[PHASE_EXPAND] == MODEL_UNSET && p.policy.hold_ms == MODEL_UNSET);
    assert_int_equal(p.policy.kill_drill_ms, 0);
    assert_int_equal(p.policy.approvers.n, 3);
    assert_string_equal(p.policy.approvers.items[1].key.s, "dba");
    assert_string_equal(p.policy.approvers.items[1].value.s, "bob");
    assert_string_equal(p.policy.rules.items[0].value.s, "off");
    const struct environment *e = project_environment(&p, "production");
    assert_non_null(e);
    assert_int_equal(e->n_databases, 2);
    assert_string_equal(e->databases[0].url.s, "${DATABASE_URL}"); /* resolved when it's used */
    assert_string_equal(e->databases[1].waves.items[1].s, "25%");
    assert_true(e->flags.present && e->flags.propagation_ms == MODEL_UNSET);
    assert_int_equal(e->n_notify, 2);
    assert_int_equal(e->notify[0].format, NOTIFY_JSON);
    assert_string_equal(e->notify[1].webhook.s, "b");
    assert_int_equal(e->notify[1].format, NOTIFY_SLACK);
    assert_int_equal(e->policy.forward_only, 1);
    assert_true(e->policy.window == MODEL_UNSET && e->snapshots_keep_ms == MODEL_UNSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_is_walked),
        cmocka_unit_test(names_of_files_matter),
        cmocka_unit_test(unreadable_files_are_problems),
        cmocka_unit_test(missing_things_are_said),
        cmocka_unit_test(heads_are_light_and_can_be_filled),
        cmocka_unit_test(heads_can_be_read_one_after_the_other),
        cmocka_unit_test(heads_hide_no_problem),
        cmocka_unit_test(undoers_are_gathered),
        cmocka_unit_test(changed_file_doesnt_fill),
        cmocka_unit_test(project_is_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
