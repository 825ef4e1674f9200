-- purpose: approvals and refusals
-- params: $1 plan (NULL: all)
-- returns: one row each, oldest first; times in ms
SELECT p.plan, p.phase, p.checksum, p.role, p.who, p.because, p.host, p.refused,
       (EXTRACT(epoch FROM p.at) * 1000)::bigint AS at_ms
  FROM phasegate.approval AS p
 WHERE $1::text IS NULL OR p.plan = $1::text
 ORDER BY p.approval_id
