/* io_rig: what the tests of the libpq port share: a database of their own and a session on it. */
#ifndef PHASEGATE_TESTS_IO_RIG_H
#define PHASEGATE_TESTS_IO_RIG_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pgtest.h"
#include "phasegate/io.h"

struct rig {
    char *conninfo;
    struct interrupt interrupt;
    struct clock *clock;
    struct db *db;
    struct arena a;
    struct err err;
};

static inline struct db_options options(struct rig *r)
{
    struct db_options o = db_options_default();

    o.url = r->conninfo;
    o.label = "phasegate/test/first";
    o.writable = true;
    o.interrupt = &r->interrupt;
    o.clock = r->clock;
    return o;
}

static inline void show(const struct err *e)
{
    print_message("%s: %s\nDETAIL: %s\nHINT: %s\n", err_kind_word(e->kind), str_text(&e->message),
                  str_text(&e->detail), str_text(&e->hint));
}

static inline struct db *open_with(struct rig *r, const struct db_options *o)
{
    struct db *db = NULL;

    if (!db_connect(o, &db, &r->err)) {
        show(&r->err);
        fail();
    }
    return db;
}

static inline int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    struct db_options o;

    r->conninfo = pgtest_new_database();
    r->clock = clock_system(&r->interrupt);
    o = options(r);
    r->db = open_with(r, &o);
    *state = r;
    return 0;
}

static inline int teardown(void **state)
{
    struct rig *r = *state;

    db_close(r->db);
    pgtest_drop_database(r->conninfo);
    clock_system_free(r->clock);
    arena_free(&r->a);
    err_clear(&r->err);
    free(r);
    return 0;
}

static inline void good(struct rig *r, const char *sql)
{
    if (!db_exec(r->db, sql, NULL, &r->err)) {
        print_message("%s\n", sql);
        show(&r->err);
        fail();
    }
}

static inline const char *value(struct rig *r, const char *sql)
{
    struct db_rows rows = {0};

    if (!db_query(r->db, &r->a, sql, NULL, &rows, &r->err)) {
        print_message("%s\n", sql);
        show(&r->err);
        fail();
    }
    assert_int_equal(rows.n_rows, 1);
    return db_cell(&rows, 0, 0);
}

static inline void bad(struct rig *r, const char *sql, enum err_kind kind, const char *sqlstate)
{
    assert_false(db_exec(r->db, sql, NULL, &r->err));
    if (r->err.kind != kind || strcmp(r->err.sqlstate, sqlstate) != 0)
        show(&r->err);
    assert_int_equal(r->err.kind, kind);
    assert_string_equal(r->err.sqlstate, sqlstate);
}

static inline void has(const struct str *text, const char *part)
{
    if (!strstr(str_text(text), part))
        fail_msg("\"%s\" is not in \"%s\"", part, str_text(text));
}

/* Something that happens while a statement runs. */
struct later {
    struct rig *r;
    int signals, number;
    const char *sql; /* instead: run by another session */
};

static inline void *act_later(void *arg)
{
    struct later *l = arg;

    usleep(300 * 1000);
    for (int i = 0; i < l->signals; i++) {
        l->r->interrupt.signal = l->number;
        l->r->interrupt.count++;
    }
    if (l->sql)
        pgtest_exec(l->r->conninfo, l->sql);
    return NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
