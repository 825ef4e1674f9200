-- purpose: record whether the segment of a restore point is in the archive
-- params: $1 id, $2 why not (NULL: it is)
-- returns: nothing
UPDATE phasegate.restore_point
   SET archived_at = CASE WHEN $2::text IS NULL THEN pg_catalog.clock_timestamp() END, not_archived_why = $2::text
 WHERE restore_point_id = $1::bigint
