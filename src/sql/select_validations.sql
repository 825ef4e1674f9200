-- purpose: what the journal says of a plan's checklist: values before, signatures, readings
-- params: $1 plan
-- returns: one row each, oldest first; times in ms; whether the plan has gone back since
SELECT h.kind, h.phase, h.step, h.checksum, h.applied_by, h.description, h.detail::text AS detail,
       (EXTRACT(epoch FROM h.applied_at) * 1000)::bigint AS applied_at_ms,
       h.seq < coalesce((SELECT pg_catalog.max(b.seq)
                           FROM phasegate.migration_history AS b
                          WHERE b.plan = $1::text AND b.kind = 'transition' AND b.step IN ('rollback', 'restore')), 0)
           AS is_void
  FROM phasegate.migration_history AS h
 WHERE h.plan = $1::text AND h.kind IN ('before', 'signature', 'validation')
 ORDER BY h.seq
