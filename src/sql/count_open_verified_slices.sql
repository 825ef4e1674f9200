-- purpose: how many slices of a verification aren't done
-- params: $1 verification
-- returns: one row: how many
SELECT pg_catalog.count(*) FROM phasegate.backfill_verified_slice AS s
 WHERE s.verification_id = $1::bigint AND s.status <> 'done'
