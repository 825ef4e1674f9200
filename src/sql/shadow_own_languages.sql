-- purpose: languages that initdb made
-- params: none
-- returns: a row each: its name first
SELECT l.lanname, l.lanpltrusted, l.lanplcallfoid, l.laninline, l.lanvalidator FROM pg_catalog.pg_language l WHERE l.oid <
  '16384'::oid ORDER BY l.oid
