-- purpose: where plans stand
-- params: $1 plan (NULL: all)
-- returns: one row a plan, by name; times in ms
SELECT s.plan, s.stage, (EXTRACT(epoch FROM s.stage_since) * 1000)::bigint,
       s.brake, s.brake_reason, s.brake_by,
       (EXTRACT(epoch FROM s.brake_since) * 1000)::bigint, s.task, s.waiting_for,
       s.waiting_holder, s.waiting_release, (EXTRACT(epoch FROM s.waiting_since) * 1000)::bigint,
       (EXTRACT(epoch FROM s.waiting_until) * 1000)::bigint, s.read_percent, s.write_percent,
       (EXTRACT(epoch FROM s.rung_confirmed_at) * 1000)::bigint, s.verified, s.first_write_rung,
       s.release_expand, s.release_dual_read, s.release_write_activation,
       s.release_contract, s.checksum, (EXTRACT(epoch FROM s.hold_until) * 1000)::bigint,
       s.rows_done
  FROM phasegate.plan_state AS s
 WHERE $1::text IS NULL OR s.plan = $1::text
 ORDER BY s.plan
