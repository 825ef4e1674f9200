-- purpose: a snapshot was verified, or wasn't what it should be
-- params: $1 name, $2 why it isn't (NULL: it is)
-- returns: nothing
UPDATE phasegate.snapshot AS s
   SET verified_at = CASE WHEN $2::text IS NULL THEN pg_catalog.clock_timestamp() ELSE s.verified_at END,
       failed_at = CASE WHEN $2::text IS NULL THEN NULL ELSE pg_catalog.clock_timestamp() END,
       failed_why = $2::text
 WHERE s.name = $1::text
