#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "phasegate/statement_facts.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

static const char *const verb_words[] = {"select", "insert", "update", "delete", "merge", "other"};

/* orders*, app.orders@, a~ (natural), b! (locked), t=insert (target) */
static void show_rels(struct str *out, const struct statement_facts *f)
{
    for (int i = 0; i < f->n_rels; i++) {
        const struct fact_rel *r = &f->rels[i];

        str_addf(out, "%s%s%s%s%s%s%s%s", i ? " " : "", r->schema ? r->schema : "",
                 r->schema ? "." : "", r->name, r->star ? "*" : "", r->whole_row ? "@" : "",
                 r->natural ? "~" : "", r->is_locked ? "!" : "");
        if (r->is_target)
            str_addf(out, "=%s", verb_words[r->verb]);
        else
            assert_int_equal(r->verb, VERB_SELECT);
    }
}

/* insert t(a=$1 b='x' c=default d) conflict(target) */
static void show_writes(struct str *out, const struct statement_facts *f)
{
    for (int i = 0; i < f->n_writes; i++) {
        const struct fact_write *w = &f->writes[i];

        assert_int_equal(w->columns.n, w->literals.n);
        str_addf(out, "%s%s %s%s%s(", i ? "; " : "", verb_words[w->verb],
                 w->schema ? w->schema : "", w->schema ? "." : "", w->table);
        if (w->positional)
            str_add(out, "positional");
        for (int k = 0; k < w->columns.n; k++) {
            str_addf(out, "%s%s", k ? " " : "", w->columns.items[k].s);
            if (w->params[k])
                str_addf(out, "=$%d", w->params[k]);
            if (w->literals.items[k].s)
                str_addf(out, "='%s'", w->literals.items[k].s);
            for (int d = 0; d < w->defaulted.n; d++)
                if (strcmp(w->defaulted.items[d].s, w->columns.items[k].s) == 0)
                    str_add(out, "=default");
        }
        str_addf(out, ")%s%s", w->on_conflict ? " conflict" : "",
                 w->conflict_has_target ? "(target)" : "");
    }
}

static void show_list(struct str *out, const char *name, const struct text_list *l)
{
    for (int i = 0; i < l->n; i++)
        str_addf(out, "%s%s", i ? "," : name, l->items[i].s);
}

/* reads, star, natural, now, ordered, utility, many: the flags that are set; then the lists. */
static void show_more(struct str *out, const struct statement_facts *f)
{
    str_addf(out, "%s%s%s%s%s%s%s%s", verb_words[f->verb], f->reads_only ? " reads" : "",
             f->selects_star ? " star" : "", f->uses_natural_join ? " natural" : "",
             f->uses_now ? " now" : "", f->has_order_by ? " ordered" : "",
             f->is_utility ? " utility" : "", f->is_one_statement ? "" : " many");
    show_list(out, " c:", &f->columns);
    show_list(out, " f:", &f->functions);
    show_list(out, " t:", &f->types);
    show_list(out, " l:", &f->literals);
}

/* What is kept says the same: put again, it's the same text. From now on f is what was taken. */
static void keep(struct arena *a, const char *sql, struct statement_facts *f)
{
    AUTO(str) kept = {0};
    AUTO(str) again = {0};
    struct statement_facts taken = {.parsed = false};

    str_add(&kept, "before");
    if (!statement_facts_put(&kept, f)) {
        CHECK(strpbrk(sql, "\"\\\n'") != NULL, "%s: can't be kept", sql);
        assert_string_equal(str_text(&kept), "before");
        return;
    }
    const char *text = str_text(&kept) + strlen("before");
    size_t n = strlen(text);
    CHECK(statement_facts_take(a, text, n, &taken), "%s: can't be taken: %s", sql, text);
    assert_true(statement_facts_put(&again, &taken));
    assert_string_equal(str_text(&again), text);
    *f = taken;
    for (size_t cut = 0; cut < n; cut++)
        CHECK(!statement_facts_take(a, text, cut, &taken), "%s: taken from %zu bytes of %s", sql,
              cut, text);
    str_add(&again, "1,");
    assert_false(statement_facts_take(a, str_text(&again), again.len, &taken));
}

struct row {
    const char *sql, *rels, *writes, *more; /* more NULL: not looked at */
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(arena) a = {0};
        AUTO(str) rels = {0};
        AUTO(str) writes = {0};
        AUTO(str) more = {0};
        struct statement s = {.dollar_sql = rows[i].sql};
        struct statement_facts f;

        statement_facts(&a, &s, &f);
        CHECK(f.parsed, "%s\n%s", rows[i].sql, f.why);
        keep(&a, rows[i].sql, &f);
        show_rels(&rels, &f);
        show_writes(&writes, &f);
        show_more(&more, &f);
        CHECK(strcmp(str_text(&rels), rows[i].rels) == 0, "%s\n relations: %s\n  expected: %s",
              rows[i].sql, str_text(&rels), rows[i].rels);
        CHECK(strcmp(str_text(&writes), rows[i].writes) == 0, "%s\n    writes: %s\n  expected: %s",
              rows[i].sql, str_text(&writes), rows[i].writes);
        if (rows[i].more)
            CHECK(strcmp(str_text(&more), rows[i].more) == 0, "%s\n      more: %s\n  expected: %s",
                  rows[i].sql, str_text(&more), rows[i].more);
    }
}

static void test_reading(void **state)
{
    static const struct row rows[] = {
        {"SELECT id, total FROM orders WHERE id = $1", "orders", "", "select reads c:id,total"},
        {"SELECT o.id FROM app.orders o JOIN customers AS c ON c.id = o.customer_id",
         "app.orders customers", "", "select reads c:id,customer_id"},
        {"SELECT a FROM t, t AS u, s.t", "t s.t", "", NULL},
        {"SELECT \"Id\", \"a b\" FROM \"My Orders\" WHERE LEGACY = 'x'", "My Orders", "",
         "select reads c:Id,a b,legacy l:x"},
        {"SELECT 1", "", "", "select reads"},
        {"VALUES ($1, 'x'), (2, 'y')", "", "", "select reads l:x,y"},
        {"TABLE t", "t*", "", "select reads star"},
        {"SELECT a FROM t ORDER BY b LIMIT $1", "t", "", "select reads ordered c:a,b"},
        {"SELECT a FROM (SELECT a FROM t ORDER BY a) s", "t", "", "select reads c:a"},
        {"SELECT x.a FROM t AS x WHERE x.a IN (SELECT b FROM u)", "t u", "", "select reads c:a,b"},
        {"SELECT a FROM t TABLESAMPLE system ($1)", "t", "", "select reads c:a"},
        {"SELECT a FROM ONLY t UNION ALL SELECT b FROM u ORDER BY 1", "t u", "",
         "select reads ordered c:a,b"},
        {"SELECT count(*) FROM t", "t", "", "select reads f:count"},
        {"SELECT count(t) , count(t.*) FROM t", "t", "", "select reads f:count"},
        {"SELECT CASE WHEN a THEN b ELSE c END, COALESCE(d, 'x') FROM t GROUP BY e HAVING f > 1",
         "t", "", "select reads c:a,b,c,d,e,f l:x"},
        {"SELECT sum(a) FILTER (WHERE b) OVER (PARTITION BY c ORDER BY d) FROM t", "t", "",
         "select reads c:a,b,c,d f:sum"},
        {"SELECT a FROM t WHERE j ? 'k' AND j ?| ARRAY['l'] AND j @> '{}'", "t", "",
         "select reads c:a,j l:k,l,{}"},
        {"SELECT a AS t FROM t ORDER BY t", "t", "", "select reads ordered c:a"},
        {"SELECT x.a, y.b FROM t x CROSS JOIN LATERAL (SELECT b FROM u WHERE u.a = x.a) y", "t u",
         "", "select reads c:b,a"},
        {"SELECT o.id FROM orders o WHERE EXISTS (SELECT * FROM lines l WHERE l.o = o.id)",
         "orders lines", "", "select reads c:id,o"},
    };
    (void) state;

    check_rows(rows, ROWS(rows));
}

static void test_common_table_expressions(void **state)
{
    static const struct row rows[] = {
        {"WITH t AS (SELECT a FROM u) SELECT a FROM t", "u", "", "select reads c:a"},
        {"WITH t AS (SELECT a FROM t) SELECT a FROM t", "t", "", NULL},
        {"WITH t AS (SELECT 1 AS a) SELECT t.a FROM t JOIN app.t AS x ON true", "app.t", "", NULL},
        {"WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT x FROM b", "", "", NULL},
        {"WITH a AS (SELECT x FROM b), b AS (SELECT 1 AS x) SELECT x FROM a, b", "b", "", NULL},
        {"WITH RECURSIVE r AS (SELECT id FROM t UNION ALL SELECT t.id FROM t JOIN r ON true) "
         "SELECT id FROM r",
         "t", "", "select reads c:id"},
        {"SELECT a FROM (WITH t AS (SELECT a FROM u) SELECT a FROM t) s, t", "u t", "", NULL},
        {"WITH t AS (SELECT a FROM u) SELECT (SELECT max(a) FROM t) FROM v", "u v", "", NULL},
        {"WITH t AS (SELECT * FROM u) SELECT a FROM t", "u", "", "select reads c:a"},
        {"WITH t AS (SELECT * FROM u) SELECT * FROM t", "u*", "", "select reads star"},
        {"WITH t AS (SELECT * FROM u) SELECT t.* FROM v JOIN t USING (id)", "u* v", "",
         "select reads star c:id"},
        {"WITH d AS (DELETE FROM t WHERE a = $1 RETURNING *) INSERT INTO log (x) SELECT b FROM d",
         "t=delete log=insert", "delete t(); insert log(x)", "insert c:a,b,x"},
        {"WITH d AS (DELETE FROM t RETURNING *) INSERT INTO log SELECT * FROM d",
         "t*=delete log=insert", "delete t(); insert log(positional)", NULL},
        {"WITH n AS (INSERT INTO t (a) VALUES ($1) RETURNING id) SELECT id FROM n", "t=insert",
         "insert t(a=$1)", "select c:a,id"},
        {"WITH u AS (SELECT id FROM q FOR UPDATE SKIP LOCKED) UPDATE q SET s = 'run' FROM u "
         "WHERE q.id = u.id",
         "q!=update", "update q(s='run')", NULL},
    };
    (void) state;

    check_rows(rows, ROWS(rows));
}

static void test_stars_and_whole_rows(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM t", "t*", "", "select reads star"},
        {"SELECT x.*, y.a FROM t x, u y", "t* u", "", "select reads star c:a"},
        {"SELECT app.t.* FROM app.t, u", "app.t* u", "", "select reads star"},
        {"SELECT app.t.* FROM t", "t*", "", "select reads star"},
        {"SELECT j.* FROM (t JOIN u USING (id)) AS j, v", "t* u* v", "", "select reads star c:id"},
        {"SELECT a FROM (SELECT * FROM t) s", "t", "", "select reads c:a"},
        {"SELECT * FROM (SELECT * FROM t) s", "t*", "", "select reads star"},
        {"SELECT a FROM (SELECT DISTINCT * FROM t) s", "t*", "", "select reads c:a"},
        {"SELECT a FROM (SELECT DISTINCT ON (b) * FROM t) s", "t", "", "select reads c:b,a"},
        {"SELECT * FROM (SELECT a FROM t) s", "t", "", "select reads star c:a"},
        {"SELECT a FROM (SELECT * FROM t UNION SELECT * FROM u) s", "t* u*", "",
         "select reads c:a"},
        {"SELECT 1 UNION SELECT * FROM t", "t*", "", "select reads star"},
        {"SELECT a FROM t WHERE (a, b) IN (SELECT * FROM u)", "t u*", "", "select reads c:a,b"},
        {"SELECT a FROM t WHERE NOT EXISTS (SELECT * FROM u)", "t u", "", "select reads c:a"},
        {"SELECT ARRAY(SELECT * FROM u)", "u*", "", "select reads"},
        {"SELECT row_to_json(t) FROM t", "t@", "", "select reads c:t f:row_to_json"},
        {"SELECT to_jsonb(x.*) FROM t x JOIN u ON true", "t@ u", "", "select reads f:to_jsonb"},
        {"SELECT t.*::text FROM t", "t@", "", "select reads t:text"},
        {"SELECT t::text FROM t", "t@", "", "select reads c:t t:text"},
        {"SELECT x FROM t x", "t@", "", "select reads c:x"},
        {"SELECT md5(ROW(x.*)::text) FROM t x", "t@", "", NULL},
        {"SELECT json_agg(s) FROM (SELECT * FROM t) s", "t*@", "", "select reads c:s f:json_agg"},
        {"SELECT json_agg(s) FROM (SELECT a FROM t) s", "t", "", "select reads c:a,s f:json_agg"},
        {"SELECT (t).* FROM t", "t*", "", "select reads star"},
        {"SELECT (x).a FROM t x", "t", "", "select reads c:a"},
        {"SELECT c.address FROM customers c, (SELECT c FROM u) v", "customers u", "", NULL},
        {"SELECT array_agg(o ORDER BY o.id) FROM orders o", "orders@", "", NULL},
        {"SELECT c.id, (SELECT json_agg(o) FROM orders o WHERE o.c = c.id) FROM customers c",
         "customers orders@", "", NULL},
        {"SELECT a FROM t NATURAL JOIN u", "t~ u~", "", "select reads natural c:a"},
        {"SELECT a FROM t NATURAL LEFT JOIN u JOIN v USING (k)", "t~ u~ v", "",
         "select reads natural c:k,a"},
        {"SELECT a FROM t NATURAL JOIN (SELECT * FROM u) s", "t~ u~", "", NULL},
        {"SELECT a FROM t NATURAL JOIN (SELECT k FROM u) s", "t~ u", "", NULL},
    };
    (void) state;

    check_rows(rows, ROWS(rows));
}

static void test_writing(void **state)
{
    static const struct row rows[] = {
        {"INSERT INTO t (a, b, c) VALUES ($1, 'x', DEFAULT)", "t=insert",
         "insert t(a=$1 b='x' c=default)", "insert c:a,b,c l:x"},
        {"INSERT INTO app.t VALUES ($1, $2)", "app.t=insert", "insert app.t(positional)", "insert"},
        {"INSERT INTO t DEFAULT VALUES", "t=insert", "insert t()", NULL},
        {"INSERT INTO t (a, b) VALUES ($2::int, $1::date::text), (3, DEFAULT)", "t=insert",
         "insert t(a=$2 b=$1=default)", "insert c:a,b t:int4,text,date"},
        {"INSERT INTO t (a, b, c, d, e, f) VALUES (-5, 0, 1.5, true, NULL, lower($1))", "t=insert",
         "insert t(a='-5' b='0' c='1.5' d='true' e f)", "insert c:a,b,c,d,e,f f:lower"},
        {"INSERT INTO t (a, b) SELECT $1, x FROM u", "t=insert u", "insert t(a=$1 b)",
         "insert c:x,a,b"},
        {"INSERT INTO t (a, b) SELECT $1, 'x' UNION ALL SELECT $2, 'y'", "t=insert",
         "insert t(a=$1 b='x')", NULL},
        {"INSERT INTO t SELECT * FROM u", "t=insert u*", "insert t(positional)", "insert"},
        {"INSERT INTO t (a, b) SELECT u.*, $1 FROM u", "t=insert u*", "insert t(a b)", NULL},
        {"INSERT INTO t (a) VALUES ($1) RETURNING *", "t*=insert", "insert t(a=$1)",
         "insert star c:a"},
        {"INSERT INTO t AS x (a) VALUES ($1) RETURNING x.*, id", "t*=insert", "insert t(a=$1)",
         "insert star c:a,id"},
        {"INSERT INTO t (a) VALUES ($1) RETURNING row_to_json(t)", "t@=insert", "insert t(a=$1)",
         "insert c:a,t f:row_to_json"},
        {"INSERT INTO t (a[1], b.c) VALUES ($1, $2)", "t=insert", "insert t(a b)", NULL},
        {"INSERT INTO t (k, v) VALUES ($1, $2) ON CONFLICT DO NOTHING", "t=insert",
         "insert t(k=$1 v=$2) conflict", NULL},
        {"INSERT INTO t (k, v) VALUES ($1, $2) ON CONFLICT (k) WHERE live DO UPDATE SET v = "
         "excluded.v, n = t.n + 1, u = $3, w = DEFAULT",
         "t=insert",
         "insert t(k=$1 v=$2) conflict(target); update t(v n u=$3 w=default) conflict(target)",
         "insert c:k,v,live,n,u,w"},
        {"INSERT INTO t (k) VALUES ($1) ON CONFLICT ON CONSTRAINT t_key DO NOTHING", "t=insert",
         "insert t(k=$1) conflict(target)", NULL},
        {"UPDATE t SET a = $1, b = b + 1, c = NULL, d = 'x'::text WHERE id = $2", "t=update",
         "update t(a=$1 b c d='x')", "update c:a,b,c,d,id t:text l:x"},
        {"UPDATE t SET (a, b, c) = ($2, DEFAULT, 'x') WHERE id = $1", "t=update",
         "update t(a=$2 b=default c='x')", NULL},
        {"UPDATE t SET (a, b) = (SELECT x, y FROM u WHERE u.id = t.id)", "t=update u",
         "update t(a b)", "update c:a,x,y,id,b"},
        {"UPDATE t SET (a, b) = (SELECT * FROM u)", "t=update u*", "update t(a b)", NULL},
        {"UPDATE t x SET a = u.a FROM u JOIN v USING (k) WHERE x.id = u.id RETURNING x.id, v.*",
         "t=update u v*", "update t(a)", "update star c:k,a,id"},
        {"UPDATE t SET a[2] = $1", "t=update", "update t(a)", NULL},
        {"UPDATE t SET a = 1 FROM u RETURNING *", "t*=update u*", "update t(a='1')", NULL},
        {"DELETE FROM t USING u WHERE t.id = u.id AND u.gone", "t=delete u", "delete t()",
         "delete c:id,gone"},
        {"DELETE FROM t RETURNING *", "t*=delete", "delete t()", "delete star"},
        {"MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND s.x THEN UPDATE SET a = $1 WHEN "
         "MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s.id, DEFAULT)",
         "t=merge s", "update t(a=$1); delete t(); insert t(id a=default)", "merge c:id,x,a"},
        {"MERGE INTO t AS x USING (SELECT * FROM u) s ON true WHEN NOT MATCHED THEN INSERT VALUES "
         "($1)",
         "t=merge u", "insert t(positional)", NULL},
        {"SELECT a FROM t FOR UPDATE", "t!", "", "select c:a"},
        {"SELECT a FROM t x, u y FOR SHARE OF y", "t u!", "", NULL},
        {"SELECT a FROM (SELECT a FROM t) s FOR UPDATE", "t!", "", NULL},
        {"WITH s AS (SELECT a FROM t) SELECT a FROM s, u FOR UPDATE", "t u!", "", NULL},
        {"SELECT a FROM t x WHERE EXISTS (SELECT FROM u FOR KEY SHARE)", "t u!", "", NULL},
    };
    (void) state;

    check_rows(rows, ROWS(rows));
}

static void test_calls_types_and_time(void **state)
{
    static const struct row rows[] = {
        {"SELECT lower(a), pg_catalog.upper(b), app.f(c), g(d) FROM t", "t", "",
         "select c:a,b,c,d f:lower,pg_catalog.upper,app.f,g"},
        {"SELECT lower(a), pg_catalog.upper(b) FROM t", "t", "",
         "select reads c:a,b f:lower,pg_catalog.upper"},
        {"SELECT nextval('s'), currval('s')", "", "", "select now f:nextval,currval l:s,s"},
        {"SELECT currval('s')", "", "", "select reads f:currval l:s"},
        {"SELECT pg_advisory_lock(1)", "", "", "select f:pg_advisory_lock"},
        {"SELECT * FROM list_orders($1) AS o", "", "", "select star f:list_orders"},
        {"SELECT o.id FROM generate_series(1, $1) g, LATERAL app.orders_of(g) o", "", "",
         "select c:g,id f:generate_series,app.orders_of"},
        {"SELECT * FROM ROWS FROM (f(1) AS (a int, b app.money), unnest($1)) x", "", "",
         "select star f:f,unnest t:int4,app.money"},
        {"SELECT (f($1)).*, (g(t.a)).b FROM t", "t", "", "select star c:b,a f:f,g"},
        {"SELECT $1::order_status, CAST(a AS app.\"Kind\"), b::numeric(10,2)[] FROM t", "t", "",
         "select reads c:a,b t:order_status,app.Kind,numeric"},
        {"SELECT NULL::orders", "", "", "select reads t:orders"},
        {"SELECT now()", "", "", "select reads now f:now"},
        {"SELECT a FROM t WHERE at > CURRENT_TIMESTAMP - interval '1 day'", "t", "",
         "select reads now c:a,at t:interval l:1 day"},
        {"SELECT CURRENT_DATE, LOCALTIME", "", "", "select reads now"},
        {"SELECT CURRENT_USER, CURRENT_SCHEMA", "", "", "select reads"},
        {"SELECT 'now'::timestamptz, date 'today'", "", "",
         "select reads now t:timestamptz,date l:now,today"},
        {"SELECT age(a, b) FROM t", "t", "", "select reads c:a,b f:age"},
        {"SELECT age(a) FROM t", "t", "", "select reads now c:a f:age"},
        {"SELECT EXTRACT(year FROM a), a AT TIME ZONE 'UTC', POSITION('x' IN b) FROM t", "t", "",
         "select reads c:a,b f:pg_catalog.extract,pg_catalog.timezone,pg_catalog.position "
         "l:year,UTC,x"},
        {"SELECT x FROM xmltable('/r' PASSING $1 COLUMNS x int)", "", "",
         "select reads c:x t:int4 l:/r"},
    };
    (void) state;

    check_rows(rows, ROWS(rows));
}

static void test_utilities(void **state)
{
    static const struct row rows[] = {
        {"SET search_path = app", "", "", "other utility"},
        {"CALL app.pay($1, lower('X'))", "", "", "other utility f:app.pay,lower l:X"},
        {"LOCK TABLE t, app.u IN SHARE MODE", "t! app.u!", "", "other utility"},
        {"TRUNCATE t, u", "t=delete u=delete", "delete t(); delete u()", "other utility"},
        {"COPY t (a, b) FROM STDIN", "t=insert", "insert t(a b)", "other utility c:a,b"},
        {"COPY t FROM STDIN", "t=insert", "insert t(positional)", NULL},
        {"COPY t TO STDOUT", "t*", "", "other utility"},
        {"COPY (SELECT * FROM t) TO STDOUT", "t*", "", "other utility"},
        {"EXPLAIN SELECT a FROM t", "t", "", "other utility c:a"},
        {"DECLARE c CURSOR FOR SELECT * FROM t", "t*", "", "other utility"},
        {"SELECT a INTO u FROM t", "t", "", "select utility c:a"},
        {"REFRESH MATERIALIZED VIEW CONCURRENTLY m", "m", "", "other utility"},
        {"SELECT 1; DELETE FROM t", "t=delete", "delete t()", "select many"},
    };
    (void) state;

    check_rows(rows, ROWS(rows));
}

static void test_what_cannot_be_parsed(void **state)
{
    static const struct {
        const char *sql, *why;
        int at;
    } rows[] = {
        {"SELECT \xc3\xa9 bad syntax here", "syntax error at or near \"syntax\"", 14},
        {"SELECT JSON_SCALAR(1 FORMAT)", "syntax error", 22},
        {"SELECT 1 FROM", "syntax error at end of input", 14},
        {"", "no statement", 0},
        {"-- nothing", "no statement", 0},
        {"SELECT 'a", "unterminated quoted string", 8},
    };
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(arena) a = {0};
        struct statement s = {.dollar_sql = rows[i].sql};
        struct statement_facts f;

        statement_facts(&a, &s, &f);
        CHECK(!f.parsed && f.why, "%s: parsed", rows[i].sql);
        CHECK(strstr(f.why, rows[i].why), "%s: %s", rows[i].sql, f.why);
        CHECK(f.why_at == rows[i].at, "%s: at %d", rows[i].sql, f.why_at);
        CHECK(f.verb == VERB_OTHER && f.n_rels == 0 && !f.reads_only, "%s", rows[i].sql);
    }
}

static void test_depth_is_bounded(void **state)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    struct statement_facts f;
    (void) state;

    str_add(&sql, "SELECT ");
    for (int i = 0; i < 5000; i++)
        str_add(&sql, "-(");
    str_add(&sql, "a");
    for (int i = 0; i < 5000; i++)
        str_addc(&sql, ')');
    struct statement s = {.dollar_sql = str_text(&sql)};
    statement_facts(&a, &s, &f);
    assert_false(f.parsed);
    assert_non_null(f.why);
}

/* By several threads, and each as if it had been read alone: also those that can't be. */
static void test_many_at_once(void **state)
{
    enum { N = 1000 };
    AUTO(arena) a = {0};
    struct statement *s = arena_array(&a, struct statement, N);
    struct statement_facts *f = arena_array(&a, struct statement_facts, N);
    const struct statement **of = arena_array(&a, const struct statement *, N);
    struct statement_facts **out = arena_array(&a, struct statement_facts *, N);
    (void) state;

    for (int i = 0; i < N; i++) {
        s[i].dollar_sql =
            i % 7 == 3 ? "SELECT 1 FROM" : arena_printf(&a, "UPDATE t%d SET a = $1", i);
        of[i] = &s[i];
        out[i] = &f[i];
    }
    statement_facts_end(statement_facts_begin(of, out, 0), &a);
    assert_null(f[0].rels);
    statement_facts_end(statement_facts_begin(of, out, N), &a);
    statement_facts_end(NULL, &a);
    for (int i = 0; i < N; i++) {
        CHECK(f[i].parsed == (i % 7 != 3), "%d: %s", i, f[i].why);
        CHECK(i % 7 == 3 ? f[i].why_at == 14
                         : strcmp(f[i].writes[0].table, arena_printf(&a, "t%d", i)) == 0,
              "%d", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_common_table_expressions),
        cmocka_unit_test(test_stars_and_whole_rows),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_calls_types_and_time),
        cmocka_unit_test(test_utilities),
        cmocka_unit_test(test_what_cannot_be_parsed),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
