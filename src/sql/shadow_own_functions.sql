-- purpose: PostgreSQL's own functions that run as their owner, or aren't built in
-- params: none
-- returns: a row each: its name first
SELECT p.proname, p.prolang, p.prosecdef, p.prosrc, p.prosqlbody, p.proconfig FROM pg_catalog.pg_proc p WHERE p.oid <
  '16384'::oid AND (p.prosecdef OR p.prolang NOT IN ('12'::oid, '13'::oid)) ORDER BY p.oid
