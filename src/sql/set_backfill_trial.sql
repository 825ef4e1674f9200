-- purpose: how long a trial of a backfill may wait and take, and where its names are found
-- params: $1 search path, $2 lock_timeout, $3 statement_timeout
-- returns: one row of no interest
SELECT pg_catalog.set_config('search_path', $1, true), pg_catalog.set_config('phasegate.backfill', 'on', true),
       pg_catalog.set_config('lock_timeout', $2, true), pg_catalog.set_config('statement_timeout', $3, true)
