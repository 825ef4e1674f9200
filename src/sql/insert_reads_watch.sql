-- purpose: how often each statement has been called so far, so that calls from now on tell who reads what is hidden
-- params: $1 plan, $2 step
-- returns: none; <<statements>> is the quoted name of pg_stat_statements, <<info>> that of pg_stat_statements_info
INSERT INTO phasegate.soft_drop_calls (plan, step, queryid, userid, calls)
SELECT $1::pg_catalog.text, $2::pg_catalog.text, s.queryid, s.userid, pg_catalog.sum(s.calls)
  FROM <<statements>>(false) AS s
 WHERE s.dbid = (SELECT o.oid FROM pg_catalog.pg_database AS o WHERE o.datname = pg_catalog.current_database())
   AND s.queryid <> 0
 GROUP BY s.queryid, s.userid
 UNION ALL
SELECT $1, $2, 0, 0, i.dealloc FROM <<info>>() AS i
    ON CONFLICT DO NOTHING
