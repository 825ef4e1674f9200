-- What rows held before a backfill changed them, for bringing it back.
CREATE TABLE phasegate.backfill_before (
    job_id bigint NOT NULL REFERENCES phasegate.backfill_job ON DELETE CASCADE,
    key    jsonb NOT NULL,
    old    jsonb NOT NULL,
    new    jsonb NOT NULL,
    fate   text NOT NULL DEFAULT 'kept' CHECK (fate IN ('kept', 'restored', 'newer')),
    at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (job_id, key)
);
-- statement
CREATE INDEX backfill_before_kept ON phasegate.backfill_before (job_id) WHERE fate = 'kept';
-- statement
-- One statement, because each would be a message of its own.
DO $comments$
BEGIN
    COMMENT ON TABLE phasegate.backfill_before IS
        'What rows held before a backfill with keep: before changed them; until the purge';
    COMMENT ON COLUMN phasegate.backfill_before.job_id IS 'The backfill';
    COMMENT ON COLUMN phasegate.backfill_before.key IS 'Key of the row; JSON array';
    COMMENT ON COLUMN phasegate.backfill_before.old IS 'The columns that were set, as texts of before';
    COMMENT ON COLUMN phasegate.backfill_before.new IS 'And as it left them: a row that holds something else has changed since';
    COMMENT ON COLUMN phasegate.backfill_before.fate IS 'kept, restored, or newer: it had changed since, or was gone, and was left alone';
    COMMENT ON COLUMN phasegate.backfill_before.at IS 'When';
END
$comments$;
