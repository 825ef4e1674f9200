-- Restore points: places in the WAL from before something was hidden or destroyed.
CREATE TABLE phasegate.restore_point (
    restore_point_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan             text NOT NULL,
    phase            text NOT NULL,
    name             text NOT NULL,
    lsn              pg_lsn NOT NULL,
    timeline         bigint NOT NULL,
    wal_segment      text NOT NULL,
    run_id           text,
    set_by           text,
    set_at           timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    archived_at      timestamptz,
    not_archived_why text
);
-- statement
CREATE INDEX restore_point_plan ON phasegate.restore_point (plan, restore_point_id);
-- statement
DO $comments$
BEGIN
    COMMENT ON TABLE phasegate.restore_point IS
        'Restore points, one row each: what a backup can be restored to, from before contract hides and before a purge destroys';
    COMMENT ON COLUMN phasegate.restore_point.restore_point_id IS 'Id';
    COMMENT ON COLUMN phasegate.restore_point.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.restore_point.phase IS 'What it was set before: contract or purge';
    COMMENT ON COLUMN phasegate.restore_point.name IS 'Its name in the WAL: phasegate:PLAN:PHASE:RUN, cut to 63 bytes';
    COMMENT ON COLUMN phasegate.restore_point.lsn IS 'Where it ends in the WAL';
    COMMENT ON COLUMN phasegate.restore_point.timeline IS 'Timeline of that WAL';
    COMMENT ON COLUMN phasegate.restore_point.wal_segment IS 'File of WAL that it is in';
    COMMENT ON COLUMN phasegate.restore_point.run_id IS 'Run that set it';
    COMMENT ON COLUMN phasegate.restore_point.set_by IS 'Who ran that';
    COMMENT ON COLUMN phasegate.restore_point.set_at IS 'When, by the server''s clock';
    COMMENT ON COLUMN phasegate.restore_point.archived_at IS 'When that file was seen to be in the archive; NULL: it wasn''t';
    COMMENT ON COLUMN phasegate.restore_point.not_archived_why IS 'Why it wasn''t; NULL: it was, or nobody has looked';
END
$comments$;
