/* What the tests of the shadow share: one server for all tests of a program, a database for each. */
#ifndef PHASEGATE_TEST_SHADOW_RIG_H
#define PHASEGATE_TEST_SHADOW_RIG_H

#include "phasegate/io.h"
#include "phasegate/shadow.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

struct rig {
    struct clock *clock;
    struct shadow *shadow;
    struct arena arena; /* of one test */
    int n_databases;
};

static struct rig rig;

/* Fails the test with the words of err. */
#define GOOD(call)                                                                                 \
    do {                                                                                           \
        AUTO(err) err = {0};                                                                       \
        if (!(call))                                                                               \
            fail_msg("%s: %s\n%s\n%s", err.sqlstate, str_text(&err.message),                       \
                     str_text(&err.detail), str_text(&err.hint));                                  \
    } while (0)

static inline int rig_begin_with(const struct shadow_options *given)
{
    struct shadow_options o = *given;

    rig.clock = clock_system(NULL);
    o.clock = rig.clock;
    GOOD(shadow_begin(&o, &rig.shadow, &err));
    return 0;
}

static inline int rig_end(void **state)
{
    (void) state;
    shadow_end(rig.shadow);
    clock_system_free(rig.clock);
    rig = (struct rig) {0};
    return 0;
}

static inline int rig_free_texts(void **state)
{
    (void) state;
    arena_free(&rig.arena);
    return 0;
}

/* A new database of the shadow. */
static inline const char *rig_database(const char *from)
{
    const char *name = arena_printf(&rig.arena, "t%d", ++rig.n_databases);

    GOOD(shadow_database(rig.shadow, name, from, &err));
    return name;
}

static inline struct wire *rig_open(const struct wire_options *o)
{
    struct wire *w = NULL;

    GOOD(wire_open(rig.shadow, o, &w, &err));
    return w;
}

static inline struct wire_result rig_exec(struct wire *w, const char *sql)
{
    struct wire_result r = {0};

    GOOD(wire_exec(w, &rig.arena, sql, true, &r, &err));
    return r;
}

static inline void rig_ok(struct wire *w, const char *sql)
{
    struct wire_result r = rig_exec(w, sql);

    if (!r.ok)
        fail_msg("%s: %s\nin: %s", r.sqlstate, r.message, sql);
}

static inline void rig_fails(struct wire *w, const char *sqlstate, const char *sql)
{
    struct wire_result r = rig_exec(w, sql);

    if (r.ok || strcmp(r.sqlstate, sqlstate) != 0)
        fail_msg("%s %s instead of %s\nin: %s", r.sqlstate, r.ok ? "it works" : r.message, sqlstate,
                 sql);
}

/* The first cell; "" for NULL or no row. */
static inline const char *rig_value(struct wire *w, const char *sql)
{
    struct wire_result r = rig_exec(w, sql);

    if (!r.ok)
        fail_msg("%s: %s\nin: %s", r.sqlstate, r.message, sql);
    return r.n_rows > 0 && r.n_columns > 0 && r.cell[0][0] ? r.cell[0][0] : "";
}

#endif
