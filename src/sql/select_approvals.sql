-- purpose: approvals and refusals, and which of them the journal has: whoever may write into the table could add one
-- params: $1 plan (NULL: all)
-- returns: one row each, oldest first; times in ms; is it journalled?
SELECT p.plan, p.phase, p.checksum, p.role, p.who, p.because, p.host, p.refused,
       (EXTRACT(epoch FROM p.at) * 1000)::bigint AS at_ms,
       EXISTS (SELECT 1
                 FROM phasegate.migration_history AS h
                WHERE h.plan = p.plan AND h.kind = 'approval' AND h.step = p.phase AND h.checksum = p.checksum
                  AND h.applied_by = p.who AND h.applied_at >= p.at AND h.applied_at < p.at + interval '10 seconds'
                  AND coalesce((h.detail ->> 'refused')::boolean, h.description LIKE 'refused by %') = p.refused
                  AND (h.detail ->> 'role' IS NOT DISTINCT FROM p.role OR NOT coalesce(h.detail ? 'role', false)))
         AS is_journalled
  FROM phasegate.approval AS p
 WHERE $1::text IS NULL OR p.plan = $1::text
 ORDER BY p.at, p.approval_id
