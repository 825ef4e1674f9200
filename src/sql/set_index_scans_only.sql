-- purpose: make every way but an index dear: what is still read whole or sorted has none
-- params: none
-- returns: one row of no interest
SELECT pg_catalog.set_config('enable_seqscan', 'off', true), pg_catalog.set_config('enable_bitmapscan', 'off', true),
       pg_catalog.set_config('enable_sort', 'off', true)
