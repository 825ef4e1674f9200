-- Snapshots of what a purge destroys: where each lies, and whether it was read back and compared.
CREATE TABLE phasegate.snapshot (
    snapshot_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    plan            text NOT NULL,
    phase           text NOT NULL,
    checksum        text,
    location        text NOT NULL,
    manifest        jsonb NOT NULL,
    manifest_sha256 text NOT NULL,
    rows            bigint NOT NULL,
    bytes           bigint NOT NULL,
    run_id          text,
    taken_by        text,
    taken_at        timestamptz NOT NULL,
    keep_until      timestamptz,
    verified_at     timestamptz,
    failed_at       timestamptz,
    failed_why      text,
    pruned_at       timestamptz
);
-- statement
CREATE INDEX snapshot_plan ON phasegate.snapshot (plan, snapshot_id);
-- statement
DO $comments$
BEGIN
    COMMENT ON TABLE phasegate.snapshot IS
        'Snapshots of what a purge destroys, one row each. One counts once it has verified_at';
    COMMENT ON COLUMN phasegate.snapshot.snapshot_id IS 'Id';
    COMMENT ON COLUMN phasegate.snapshot.name IS 'Its name, and that of its folder';
    COMMENT ON COLUMN phasegate.snapshot.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.snapshot.phase IS 'Phase whose destruction it was taken for';
    COMMENT ON COLUMN phasegate.snapshot.checksum IS 'SHA-256 of that phase when it was taken';
    COMMENT ON COLUMN phasegate.snapshot.location IS 'Folder that its folder is in';
    COMMENT ON COLUMN phasegate.snapshot.manifest IS 'What manifest.json in its folder says: tables, keys, columns with types, rows, digests, files, WAL position';
    COMMENT ON COLUMN phasegate.snapshot.manifest_sha256 IS 'SHA-256 of manifest.json';
    COMMENT ON COLUMN phasegate.snapshot.rows IS 'Rows in all of its tables';
    COMMENT ON COLUMN phasegate.snapshot.bytes IS 'Bytes of its files, compressed';
    COMMENT ON COLUMN phasegate.snapshot.run_id IS 'Run that took it';
    COMMENT ON COLUMN phasegate.snapshot.taken_by IS 'Who ran that';
    COMMENT ON COLUMN phasegate.snapshot.taken_at IS 'As of when, by the server''s clock';
    COMMENT ON COLUMN phasegate.snapshot.keep_until IS 'Not pruned before; NULL: never';
    COMMENT ON COLUMN phasegate.snapshot.verified_at IS 'When it was last read back, put into tables again, and found to be equal; NULL: never';
    COMMENT ON COLUMN phasegate.snapshot.failed_at IS 'When it was found not to be equal, or not to be there; NULL: not since verified_at';
    COMMENT ON COLUMN phasegate.snapshot.failed_why IS 'How';
    COMMENT ON COLUMN phasegate.snapshot.pruned_at IS 'When its files were removed; NULL: they weren''t';
END
$comments$;
