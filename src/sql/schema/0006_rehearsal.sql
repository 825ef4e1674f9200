-- Rehearsals of plans: what each found, bound to the checksum of the plan as it read then.
CREATE TABLE phasegate.rehearsal (
    rehearsal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan         text NOT NULL,
    checksum     text NOT NULL,
    green        boolean NOT NULL,
    problems     integer NOT NULL,
    on_clone     boolean NOT NULL,
    server       text,
    rows         bigint NOT NULL,
    kills        bigint NOT NULL,
    seed         bigint NOT NULL,
    duration_ms  bigint NOT NULL,
    report       jsonb NOT NULL,
    run_id       text,
    rehearsed_by text,
    rehearsed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
-- statement
CREATE INDEX rehearsal_plan ON phasegate.rehearsal (plan, rehearsal_id);
-- statement
DO $comments$
BEGIN
    COMMENT ON TABLE phasegate.rehearsal IS
        'Rehearsals, one row each. The newest of a plan''s checksum is the one that counts';
    COMMENT ON COLUMN phasegate.rehearsal.rehearsal_id IS 'Id';
    COMMENT ON COLUMN phasegate.rehearsal.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.rehearsal.checksum IS 'SHA-256 of the plan when it was rehearsed';
    COMMENT ON COLUMN phasegate.rehearsal.green IS 'Did it find nothing?';
    COMMENT ON COLUMN phasegate.rehearsal.problems IS 'How many things it found';
    COMMENT ON COLUMN phasegate.rehearsal.on_clone IS 'On a clone, with its rows; else on a throwaway server with rows that were made';
    COMMENT ON COLUMN phasegate.rehearsal.server IS 'Version of the server';
    COMMENT ON COLUMN phasegate.rehearsal.rows IS 'Rows in all tables at the start';
    COMMENT ON COLUMN phasegate.rehearsal.kills IS 'How often the working process was killed and resumed';
    COMMENT ON COLUMN phasegate.rehearsal.seed IS 'Of the points at which it was killed';
    COMMENT ON COLUMN phasegate.rehearsal.duration_ms IS 'How long it took';
    COMMENT ON COLUMN phasegate.rehearsal.report IS 'All of it, as --format json shows it';
    COMMENT ON COLUMN phasegate.rehearsal.run_id IS 'Run that rehearsed';
    COMMENT ON COLUMN phasegate.rehearsal.rehearsed_by IS 'Who ran that';
    COMMENT ON COLUMN phasegate.rehearsal.rehearsed_at IS 'When it was recorded, by the server''s clock';
END
$comments$;
