-- purpose: writes to flags
-- params: $1 plan (NULL: all), $2 how many (0: all)
-- returns: one row a write, newest first; times in ms
SELECT f.op_id, f.plan, f.flag, f.role, f.environment, f.desired, f.before, f.after, f.answer, f.level, f.reason,
       f.actor, f.run_id, (EXTRACT(epoch FROM f.at) * 1000)::bigint AS at_ms, f.ms
  FROM phasegate.flag_change AS f
 WHERE $1::text IS NULL OR f.plan = $1::text
 ORDER BY f.at DESC, f.op_id DESC
 LIMIT nullif($2::bigint, 0)
