-- purpose: what the manifests of snapshots say
-- params: $1 plan (NULL: all)
-- returns: one row each, oldest first: name, manifest as the ledger has it, WAL position of the moment it is of
SELECT s.name, s.manifest::text, s.manifest ->> 'lsn'
  FROM phasegate.snapshot AS s
 WHERE $1::text IS NULL OR s.plan = $1::text
 ORDER BY s.snapshot_id
