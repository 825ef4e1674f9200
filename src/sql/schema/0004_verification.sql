-- Verification of backfills: what was found, slice by slice.
CREATE TABLE phasegate.backfill_verification (
    verification_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id          bigint NOT NULL REFERENCES phasegate.backfill_job ON DELETE CASCADE,
    question        text NOT NULL,
    compares        boolean NOT NULL,
    began_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at     timestamptz
);
-- statement
CREATE UNIQUE INDEX backfill_verification_open ON phasegate.backfill_verification (job_id) WHERE finished_at IS NULL;
-- statement
CREATE TABLE phasegate.backfill_verified_slice (
    verified_slice_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verification_id   bigint NOT NULL REFERENCES phasegate.backfill_verification ON DELETE CASCADE,
    number            integer NOT NULL,
    lo                jsonb,
    hi                jsonb NOT NULL,
    cursor            jsonb,
    status            text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'done')),
    rows              bigint NOT NULL DEFAULT 0,
    rows_left         bigint NOT NULL DEFAULT 0,
    rows_differing    bigint NOT NULL DEFAULT 0,
    rows_known        bigint NOT NULL DEFAULT 0,
    rows_bad          bigint NOT NULL DEFAULT 0,
    digest            numeric NOT NULL DEFAULT 0,
    ranges            bigint NOT NULL DEFAULT 0,
    owner             text,
    owner_pid         integer,
    owner_since       timestamptz,
    epoch             bigint NOT NULL DEFAULT 0,
    lease             interval NOT NULL DEFAULT '60 s',
    lease_until       timestamptz,
    updated_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    UNIQUE (verification_id, number)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
-- statement
CREATE TABLE phasegate.backfill_differing (
    differing_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verified_slice_id bigint NOT NULL REFERENCES phasegate.backfill_verified_slice ON DELETE CASCADE,
    key               jsonb NOT NULL,
    is_left           boolean NOT NULL
);
-- statement
-- One statement, because each would be a message of its own.
DO $comments$
BEGIN
    COMMENT ON COLUMN phasegate.backfill_job.checksum IS
        'SHA-256 of the backfill as planned, "ctid" behind it where it goes by blocks; another one starts it again';
    COMMENT ON COLUMN phasegate.backfill_job.system_identifier IS 'The server that it is worked on';
    COMMENT ON COLUMN phasegate.backfill_job.timeline IS 'And its timeline, the newest that was seen: a failover begins another one';
    COMMENT ON TABLE phasegate.backfill_verification IS
        'Verifications of backfills; one that isn''t finished is gone on with by the next';
    COMMENT ON COLUMN phasegate.backfill_verification.verification_id IS 'Id';
    COMMENT ON COLUMN phasegate.backfill_verification.job_id IS 'The backfill';
    COMMENT ON COLUMN phasegate.backfill_verification.question IS 'Hash of what is asked of each row: another one is another verification';
    COMMENT ON COLUMN phasegate.backfill_verification.compares IS 'Are old and new compared? Not where the expression gives another value each time';
    COMMENT ON COLUMN phasegate.backfill_verification.began_at IS 'When it began';
    COMMENT ON COLUMN phasegate.backfill_verification.finished_at IS 'When its last slice was done; NULL: it isn''t';
    COMMENT ON TABLE phasegate.backfill_verified_slice IS
        'What a verification found in each slice of a backfill, and in the rows behind the last one';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.verified_slice_id IS 'Id';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.verification_id IS 'The verification';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.number IS 'Its place in the table, from 1';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.lo IS 'Key behind which it begins; NULL: the start of the table';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.hi IS 'Its last key; JSON array';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.cursor IS 'Key up to which it is done; NULL: from the start of the table';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.status IS 'pending, running or done';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.rows IS 'Rows looked at';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.rows_left IS 'Of those, still to do';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.rows_differing IS 'Of those, old and new disagree';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.rows_known IS 'Either of both, and in quarantine';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.rows_bad IS 'Either of both, and not in quarantine';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.digest IS 'Sum of a hash of key and new values of each row: the same for the same contents';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.ranges IS 'Transactions that it took';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.owner IS 'Who works on it: host, process and number of the worker';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.owner_pid IS 'pid of the worker''s session';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.owner_since IS 'When that session began';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.epoch IS 'Fence: a worker that it was taken from has an older one';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.lease IS 'How long a worker may be silent where sessions can''t be told apart';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.lease_until IS 'Until when it is its owner''s, if that can''t be told';
    COMMENT ON COLUMN phasegate.backfill_verified_slice.updated_at IS 'When this row was written';
    COMMENT ON TABLE phasegate.backfill_differing IS
        'Rows that a verification found to be wrong: the first twenty of each slice';
    COMMENT ON COLUMN phasegate.backfill_differing.differing_id IS 'Id, in the order of the rows';
    COMMENT ON COLUMN phasegate.backfill_differing.verified_slice_id IS 'The slice of the verification';
    COMMENT ON COLUMN phasegate.backfill_differing.key IS 'Key of the row; JSON array';
    COMMENT ON COLUMN phasegate.backfill_differing.is_left IS 'Still to do; else old and new disagree';
END
$comments$;
