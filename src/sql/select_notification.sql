-- purpose: what became of the newest notification of a plan
-- params: $1 plan
-- returns: one row at most: a sentence, how many were not told, when (ms)
SELECT h.description, (h.detail ->> 'failed')::bigint, (EXTRACT(epoch FROM h.applied_at) * 1000)::bigint
  FROM phasegate.migration_history AS h
 WHERE h.plan = $1::text AND h.kind = 'notification'
 ORDER BY h.seq DESC
 LIMIT 1
