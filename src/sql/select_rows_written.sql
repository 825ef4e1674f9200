-- purpose: what this transaction has done to rows, table by table
-- params: none
-- returns: a row each table that it wrote to, by oid: oid, rows inserted, updated, deleted
SELECT s.relid, s.n_tup_ins, s.n_tup_upd, s.n_tup_del FROM pg_catalog.pg_stat_xact_user_tables s
WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0 ORDER BY s.relid
