-- purpose: this process works on a backfill, and what throttles it
-- params: $1 run, $2 job, $3 host, $4 pid, $5 workers, $6 level, $7 signal, $8 value, $9 limit, $10 reason, $11 since in ms,
-- params: $12 duty, $13 rows of a batch, $14 ms of one, $15 rows a second, $16 ms that are left
-- returns: nothing
INSERT INTO phasegate.backfill_runner AS r
    (runner, job_id, host, pid, backend_pid, backend_since, workers, level, signal, value, bound, reason, level_since,
     duty, batch_rows, batch_ms, rows_per_second, left_ms)
VALUES ($1::text, $2::bigint, $3::text, $4::bigint, pg_catalog.pg_backend_pid(),
        (SELECT a.backend_start FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = pg_catalog.pg_backend_pid()),
        $5::integer, $6::text, $7::text, $8::float8, $9::float8, $10::text,
        coalesce(pg_catalog.to_timestamp($11::bigint / 1000.0), pg_catalog.clock_timestamp()),
        $12::float8, $13::bigint, $14::float8, $15::float8, $16::bigint)
ON CONFLICT (runner) DO UPDATE
       SET (job_id, backend_pid, backend_since, workers, level, signal, value, bound, reason, level_since, duty, batch_rows,
            batch_ms, rows_per_second, left_ms, seen_at)
         = (excluded.job_id, excluded.backend_pid, excluded.backend_since, excluded.workers, excluded.level, excluded.signal,
            excluded.value, excluded.bound, excluded.reason, excluded.level_since, excluded.duty, excluded.batch_rows,
            excluded.batch_ms, excluded.rows_per_second, excluded.left_ms, pg_catalog.clock_timestamp())
