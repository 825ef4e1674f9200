-- purpose: rows that a verification found to be wrong
-- params: $1 verification, $2 how many at most
-- returns: one row each, in the order of the slices: key, is it still to do?
SELECT d.key::text AS key, d.is_left
  FROM phasegate.backfill_differing AS d JOIN phasegate.backfill_verified_slice AS s USING (verified_slice_id)
 WHERE s.verification_id = $1::bigint
 ORDER BY s.number, d.differing_id LIMIT $2::bigint
