-- purpose: begin a verification, unless one is under way
-- params: $1 job, $2 hash of what is asked, $3 are old and new compared?
-- returns: nothing
INSERT INTO phasegate.backfill_verification (job_id, question, compares)
VALUES ($1::bigint, $2::text, $3::boolean)
ON CONFLICT (job_id) WHERE finished_at IS NULL DO NOTHING
