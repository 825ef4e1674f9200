-- purpose: a backfill is worked on here now
-- params: $1 job, $2 system identifier, $3 timeline
-- returns: nothing
UPDATE phasegate.backfill_job AS j
   SET system_identifier = $2::bigint, timeline = $3::integer
 WHERE j.job_id = $1::bigint
