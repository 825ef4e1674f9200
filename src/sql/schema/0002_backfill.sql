-- The backfill engine: slices, the journal of batches, what was left for later, rows that can't be filled.
ALTER TABLE phasegate.backfill_job
    ADD COLUMN retried bigint NOT NULL DEFAULT 0,
    ADD COLUMN vacuumed_at_changed bigint NOT NULL DEFAULT 0,
    ADD COLUMN est_rows bigint,
    ADD COLUMN est_batches bigint,
    ADD COLUMN lsn_at_begin pg_lsn,
    ADD COLUMN bytes_at_begin bigint,
    ADD COLUMN wal_bytes bigint,
    ADD COLUMN growth_bytes bigint,
    ADD COLUMN system_identifier bigint,
    ADD COLUMN timeline integer;
-- statement
CREATE TABLE phasegate.backfill_slice (
    slice_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id        bigint NOT NULL REFERENCES phasegate.backfill_job ON DELETE CASCADE,
    number        integer NOT NULL,
    lo            jsonb,
    hi            jsonb NOT NULL,
    cursor        jsonb,
    status        text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'done')),
    rows_done     bigint NOT NULL DEFAULT 0,
    rows_changed  bigint NOT NULL DEFAULT 0,
    batches       bigint NOT NULL DEFAULT 0,
    attempts      integer NOT NULL DEFAULT 0,
    owner         text,
    owner_pid     integer,
    owner_since   timestamptz,
    epoch         bigint NOT NULL DEFAULT 0,
    lease         interval NOT NULL DEFAULT '60 s',
    lease_until   timestamptz,
    last_sqlstate text,
    last_error    text,
    updated_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    UNIQUE (job_id, number)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
-- statement
CREATE TABLE phasegate.backfill_batch (
    slice_id     bigint NOT NULL,
    number       bigint NOT NULL,
    cursor       jsonb,
    rows_asked   bigint NOT NULL,
    rows_done    bigint NOT NULL,
    rows_changed bigint NOT NULL,
    rest_ms      bigint NOT NULL DEFAULT 0,
    rest_reason  text,
    at           timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (slice_id, number)
);
-- statement
CREATE TABLE phasegate.backfill_residual (
    job_id       bigint NOT NULL REFERENCES phasegate.backfill_job ON DELETE CASCADE,
    lo           jsonb NOT NULL,
    hi           jsonb NOT NULL,
    reason       text NOT NULL,
    rows         bigint NOT NULL DEFAULT 0,
    rows_changed bigint NOT NULL DEFAULT 0,
    at           timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    done_at      timestamptz,
    PRIMARY KEY (job_id, lo, hi)
);
-- statement
CREATE TABLE phasegate.backfill_quarantine (
    job_id      bigint NOT NULL REFERENCES phasegate.backfill_job ON DELETE CASCADE,
    key         jsonb NOT NULL,
    source      jsonb,
    sqlstate    text NOT NULL,
    message     text NOT NULL,
    attempts    integer NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    resolution  text CHECK (resolution IN ('filled', 'waived')),
    resolved_by text,
    resolved_at timestamptz,
    PRIMARY KEY (job_id, key)
);
-- statement
CREATE TABLE phasegate.backfill_runner (
    runner      text PRIMARY KEY,
    job_id      bigint NOT NULL REFERENCES phasegate.backfill_job ON DELETE CASCADE,
    host        text,
    pid         bigint,
    backend_pid integer NOT NULL,
    backend_since timestamptz,
    workers     integer NOT NULL,
    began_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    seen_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    level       text NOT NULL DEFAULT 'ok' CHECK (level IN ('ok', 'slow', 'stop')),
    level_since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    signal      text,
    value       double precision,
    bound       double precision,
    reason      text,
    duty        double precision,
    batch_rows  bigint,
    batch_ms    double precision,
    rows_per_second double precision,
    left_ms     bigint
) WITH (fillfactor = 50);
-- statement
-- One statement, because each would be a message of its own.
DO $comments$
BEGIN
    COMMENT ON COLUMN phasegate.backfill_job.retried IS 'How often a batch was tried again';
    COMMENT ON COLUMN phasegate.backfill_job.vacuumed_at_changed IS 'rows_changed when the table was vacuumed last';
    COMMENT ON COLUMN phasegate.backfill_job.est_rows IS 'Rows to change, estimated before it began';
    COMMENT ON COLUMN phasegate.backfill_job.est_batches IS 'Batches, likewise';
    COMMENT ON COLUMN phasegate.backfill_job.lsn_at_begin IS 'Where the WAL was when it began';
    COMMENT ON COLUMN phasegate.backfill_job.bytes_at_begin IS 'Size of the table with its indexes when it began';
    COMMENT ON COLUMN phasegate.backfill_job.wal_bytes IS 'WAL that the server wrote while it ran';
    COMMENT ON COLUMN phasegate.backfill_job.growth_bytes IS 'By how much the table with its indexes grew';
    COMMENT ON COLUMN phasegate.backfill_job.system_identifier IS 'The server that it began on';
    COMMENT ON COLUMN phasegate.backfill_job.timeline IS 'And its timeline: a failover begins another one';
    COMMENT ON TABLE phasegate.backfill_slice IS
        'Ranges of the key that a backfill was cut into when it was planned; a worker takes one at a time';
    COMMENT ON COLUMN phasegate.backfill_slice.slice_id IS 'Id';
    COMMENT ON COLUMN phasegate.backfill_slice.job_id IS 'The backfill';
    COMMENT ON COLUMN phasegate.backfill_slice.number IS 'Its place in the table, from 1';
    COMMENT ON COLUMN phasegate.backfill_slice.lo IS 'Key behind which it begins; NULL: the start of the table';
    COMMENT ON COLUMN phasegate.backfill_slice.hi IS 'Its last key; JSON array';
    COMMENT ON COLUMN phasegate.backfill_slice.cursor IS 'Key up to which it is done; NULL: from the start of the table';
    COMMENT ON COLUMN phasegate.backfill_slice.status IS 'pending, running or done';
    COMMENT ON COLUMN phasegate.backfill_slice.rows_done IS 'Rows visited';
    COMMENT ON COLUMN phasegate.backfill_slice.rows_changed IS 'Rows changed';
    COMMENT ON COLUMN phasegate.backfill_slice.batches IS 'Batches committed';
    COMMENT ON COLUMN phasegate.backfill_slice.attempts IS 'How often a worker took it';
    COMMENT ON COLUMN phasegate.backfill_slice.owner IS 'Who works on it: host, process and number of the worker';
    COMMENT ON COLUMN phasegate.backfill_slice.owner_pid IS 'pid of the worker''s session';
    COMMENT ON COLUMN phasegate.backfill_slice.owner_since IS 'When that session began: with the pid it tells whether the worker lives';
    COMMENT ON COLUMN phasegate.backfill_slice.epoch IS 'Fence: a worker that it was taken from has an older one and can''t move the cursor';
    COMMENT ON COLUMN phasegate.backfill_slice.lease IS 'How long a worker may be silent where sessions can''t be told apart';
    COMMENT ON COLUMN phasegate.backfill_slice.lease_until IS 'Until when it is its owner''s, if that can''t be told';
    COMMENT ON COLUMN phasegate.backfill_slice.last_sqlstate IS 'SQLSTATE of what was last in the way';
    COMMENT ON COLUMN phasegate.backfill_slice.last_error IS 'And the message';
    COMMENT ON COLUMN phasegate.backfill_slice.updated_at IS 'When this row was written';
    COMMENT ON TABLE phasegate.backfill_batch IS
        'The journal of batches, each row written in the transaction of its batch';
    COMMENT ON COLUMN phasegate.backfill_batch.slice_id IS 'The slice';
    COMMENT ON COLUMN phasegate.backfill_batch.number IS 'Number of the batch in its slice';
    COMMENT ON COLUMN phasegate.backfill_batch.cursor IS 'Key up to which it went';
    COMMENT ON COLUMN phasegate.backfill_batch.rows_asked IS 'Rows that were to be in it';
    COMMENT ON COLUMN phasegate.backfill_batch.rows_done IS 'Rows visited';
    COMMENT ON COLUMN phasegate.backfill_batch.rows_changed IS 'Rows changed';
    COMMENT ON COLUMN phasegate.backfill_batch.rest_ms IS 'How long was rested before it';
    COMMENT ON COLUMN phasegate.backfill_batch.rest_reason IS 'What throttled, if anything';
    COMMENT ON COLUMN phasegate.backfill_batch.at IS 'When';
    COMMENT ON TABLE phasegate.backfill_residual IS
        'Ranges with rows that others held locked: they are done at the end';
    COMMENT ON COLUMN phasegate.backfill_residual.job_id IS 'The backfill';
    COMMENT ON COLUMN phasegate.backfill_residual.lo IS 'Key behind which it begins; []: the start of the table';
    COMMENT ON COLUMN phasegate.backfill_residual.hi IS 'Its last key';
    COMMENT ON COLUMN phasegate.backfill_residual.reason IS 'Why it was left';
    COMMENT ON COLUMN phasegate.backfill_residual.rows IS 'Rows that were left';
    COMMENT ON COLUMN phasegate.backfill_residual.rows_changed IS 'Rows changed when it was done';
    COMMENT ON COLUMN phasegate.backfill_residual.at IS 'When';
    COMMENT ON COLUMN phasegate.backfill_residual.done_at IS 'When it was done; NULL: still to do';
    COMMENT ON TABLE phasegate.backfill_quarantine IS
        'Rows that could not be filled';
    COMMENT ON COLUMN phasegate.backfill_quarantine.job_id IS 'The backfill';
    COMMENT ON COLUMN phasegate.backfill_quarantine.key IS 'Key of the row; JSON array';
    COMMENT ON COLUMN phasegate.backfill_quarantine.source IS 'The row''s values where the plan asks for them';
    COMMENT ON COLUMN phasegate.backfill_quarantine.sqlstate IS 'Why it could not be filled';
    COMMENT ON COLUMN phasegate.backfill_quarantine.message IS 'In the server''s words';
    COMMENT ON COLUMN phasegate.backfill_quarantine.attempts IS 'How often it was tried';
    COMMENT ON COLUMN phasegate.backfill_quarantine.first_at IS 'When it was tried first';
    COMMENT ON COLUMN phasegate.backfill_quarantine.resolution IS 'filled (by a later try) or waived; NULL: open';
    COMMENT ON COLUMN phasegate.backfill_quarantine.resolved_by IS 'By whom';
    COMMENT ON COLUMN phasegate.backfill_quarantine.resolved_at IS 'When';
    COMMENT ON TABLE phasegate.backfill_runner IS
        'Processes that work on a backfill, and what throttles them; a row whose session is gone is of a dead one';
    COMMENT ON COLUMN phasegate.backfill_runner.runner IS 'Run of the process';
    COMMENT ON COLUMN phasegate.backfill_runner.job_id IS 'The backfill';
    COMMENT ON COLUMN phasegate.backfill_runner.host IS 'Its machine';
    COMMENT ON COLUMN phasegate.backfill_runner.pid IS 'Its process there';
    COMMENT ON COLUMN phasegate.backfill_runner.backend_pid IS 'pid of its watching session';
    COMMENT ON COLUMN phasegate.backfill_runner.backend_since IS 'When that session began';
    COMMENT ON COLUMN phasegate.backfill_runner.workers IS 'Its workers';
    COMMENT ON COLUMN phasegate.backfill_runner.began_at IS 'Since when';
    COMMENT ON COLUMN phasegate.backfill_runner.seen_at IS 'When it last wrote this';
    COMMENT ON COLUMN phasegate.backfill_runner.level IS 'ok, slow (it rests more) or stop (it waits)';
    COMMENT ON COLUMN phasegate.backfill_runner.level_since IS 'Since when';
    COMMENT ON COLUMN phasegate.backfill_runner.signal IS 'What throttles; NULL: nothing';
    COMMENT ON COLUMN phasegate.backfill_runner.value IS 'What was measured';
    COMMENT ON COLUMN phasegate.backfill_runner.bound IS 'The limit';
    COMMENT ON COLUMN phasegate.backfill_runner.reason IS 'Both as a sentence';
    COMMENT ON COLUMN phasegate.backfill_runner.duty IS 'Share of the time that is worked';
    COMMENT ON COLUMN phasegate.backfill_runner.batch_rows IS 'Rows of a batch now';
    COMMENT ON COLUMN phasegate.backfill_runner.batch_ms IS 'What the last ones took on average, milliseconds';
    COMMENT ON COLUMN phasegate.backfill_runner.rows_per_second IS 'Rows visited a second, of the whole backfill, rests included';
    COMMENT ON COLUMN phasegate.backfill_runner.left_ms IS 'How long it will take, milliseconds; NULL: not known yet';
END
$comments$;
