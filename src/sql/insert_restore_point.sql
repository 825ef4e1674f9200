-- purpose: record a restore point
-- params: $1 plan, $2 phase, $3 name, $4 LSN, $5 timeline, $6 segment, $7 run, $8 who
-- returns: one row: id, when (ms)
INSERT INTO phasegate.restore_point (plan, phase, name, lsn, timeline, wal_segment, run_id, set_by)
VALUES ($1::text, $2::text, $3::text, $4::pg_lsn, $5::bigint, $6::text, $7::text, $8::text)
RETURNING restore_point_id, (EXTRACT(epoch FROM set_at) * 1000)::bigint
