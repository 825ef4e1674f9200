-- purpose: which releases may run
-- params: none
-- returns: one row, or none: oldest, newest, why, since in ms
SELECT w.oldest, w.newest, w.why, (EXTRACT(epoch FROM w.since) * 1000)::bigint AS since_ms
  FROM phasegate.release_window AS w
