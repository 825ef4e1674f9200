-- The ledger, first version. A released file is never edited: what changes goes into the next number.
-- One transaction runs the whole file, a statement a message; lines "-- statement" part the statements.
-- The schema itself is there already: it may be a present of the database's owner.
-- statement
CREATE TABLE phasegate.schema_version (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    applied_by text NOT NULL DEFAULT session_user
);
-- statement
CREATE TABLE phasegate.migration_history (
    seq         bigint PRIMARY KEY,
    plan        text,
    phase       text,
    step        text,
    kind        text NOT NULL,
    description text,
    checksum    text,
    applied_at  timestamptz NOT NULL,
    applied_by  text,
    status      text NOT NULL CHECK (status IN ('started', 'done', 'skipped', 'failed', 'undone', 'not_applicable',
                                                'transition', 'accepted', 'note')),
    duration_ms bigint,
    run_id      text,
    host        text,
    release     text,
    sql         text,
    undo_sql    text,
    detail      jsonb,
    machine_row integer,
    prev_hash   bytea NOT NULL,
    hash        bytea NOT NULL
);
-- statement
CREATE INDEX migration_history_step ON phasegate.migration_history (plan, phase, step, seq);
-- statement
CREATE TABLE phasegate.journal_head (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq       bigint NOT NULL,
    prev_hash bytea NOT NULL,
    hash      bytea NOT NULL
) WITH (fillfactor = 20);
-- statement
INSERT INTO phasegate.journal_head (seq, prev_hash, hash)
VALUES (0, pg_catalog.decode('', 'hex'), pg_catalog.decode('', 'hex'));
-- statement
CREATE FUNCTION phasegate.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $refuse$
BEGIN
    RAISE EXCEPTION 'phasegate.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'To run a step again, delete its rows or use: phasegate advance --force';
END
$refuse$;
-- statement
CREATE TRIGGER migration_history_append_only BEFORE UPDATE ON phasegate.migration_history
    FOR EACH STATEMENT EXECUTE FUNCTION phasegate.refuse_change();
-- statement
CREATE TRIGGER journal_head_stays BEFORE DELETE OR TRUNCATE ON phasegate.journal_head
    FOR EACH STATEMENT EXECUTE FUNCTION phasegate.refuse_change();
-- statement
-- What an append calls that finds no head: see insert_history.sql.
CREATE FUNCTION phasegate.refuse_headless() RETURNS bigint LANGUAGE plpgsql SET search_path = '' AS $headless$
BEGIN
    RAISE EXCEPTION 'phasegate.journal_head is empty: the journal''s chain has lost its end'
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'phasegate history --verify says more';
END
$headless$;
-- statement
CREATE TABLE phasegate.migration_lock (
    namespace   text PRIMARY KEY,
    run_id      text NOT NULL,
    host        text,
    os_user     text,
    pid         bigint,
    backend_pid integer NOT NULL,
    command     text,
    step        text,
    since       timestamptz NOT NULL,
    step_since  timestamptz
) WITH (fillfactor = 20);
-- statement
CREATE TABLE phasegate.plan_state (
    plan                     text PRIMARY KEY,
    stage                    text NOT NULL,
    stage_since              timestamptz,
    brake                    text NOT NULL DEFAULT 'none',
    brake_reason             text,
    brake_by                 text,
    brake_since              timestamptz,
    task                     text,
    waiting_for              text,
    waiting_holder           text,
    waiting_release          text,
    waiting_since            timestamptz,
    waiting_until            timestamptz,
    read_percent             integer NOT NULL DEFAULT 0 CHECK (read_percent BETWEEN 0 AND 100),
    write_percent            integer NOT NULL DEFAULT 0 CHECK (write_percent BETWEEN 0 AND 100),
    rung_confirmed_at        timestamptz,
    verified                 boolean NOT NULL DEFAULT false,
    first_write_rung         boolean NOT NULL DEFAULT false,
    release_expand           text,
    release_dual_read        text,
    release_write_activation text,
    release_contract         text,
    checksum                 text,
    hold_until               timestamptz,
    rows_done                bigint NOT NULL DEFAULT 0,
    updated_at               timestamptz NOT NULL
) WITH (fillfactor = 50);
-- statement
CREATE TABLE phasegate.release_window (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    oldest     text,
    newest     text,
    why        text,
    since      timestamptz NOT NULL
);
-- statement
CREATE TABLE phasegate.flag_change (
    op_id       text PRIMARY KEY,
    plan        text,
    flag        text NOT NULL,
    role        text,
    environment text,
    desired     text NOT NULL,
    before      text,
    after       text,
    answer      text,
    level       text,
    reason      text,
    actor       text,
    run_id      text,
    at          timestamptz NOT NULL,
    ms          bigint
);
-- statement
CREATE INDEX flag_change_plan ON phasegate.flag_change (plan, at);
-- statement
CREATE TABLE phasegate.backfill_job (
    job_id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan                 text NOT NULL,
    name                 text NOT NULL,
    rel                  text,
    checksum             text,
    status               text NOT NULL CHECK (status IN ('planned', 'approved', 'running', 'throttled', 'paused', 'residual',
                                                         'verifying', 'done', 'failed', 'cancelled', 'void')),
    status_reason        text,
    status_since         timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    mode                 text NOT NULL DEFAULT 'keyset' CHECK (mode IN ('keyset', 'ctid', 'client')),
    key_columns          text[],
    hi                   jsonb,
    cursor               jsonb,
    relfilenode_at_plan  oid,
    epoch                bigint NOT NULL DEFAULT 1,
    rows_total           bigint NOT NULL DEFAULT 0,
    rows_done            bigint NOT NULL DEFAULT 0,
    rows_changed         bigint NOT NULL DEFAULT 0,
    batches              bigint NOT NULL DEFAULT 0,
    bad_rows             bigint NOT NULL DEFAULT 0,
    max_bad_rows         bigint NOT NULL DEFAULT 0,
    knobs                jsonb,
    est_seconds          numeric,
    est_wal_bytes        bigint,
    est_growth_bytes     bigint,
    run_id               text,
    created_at           timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    started_at           timestamptz,
    finished_at          timestamptz,
    verified_at          timestamptz,
    updated_at           timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    UNIQUE (plan, name)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
-- statement
CREATE TABLE phasegate.approval (
    approval_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan        text NOT NULL,
    phase       text NOT NULL,
    checksum    text NOT NULL,
    role        text,
    who         text NOT NULL,
    because     text,
    host        text,
    refused     boolean NOT NULL DEFAULT false,
    at          timestamptz NOT NULL
);
-- statement
CREATE TABLE phasegate.soft_drop (
    soft_drop_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan          text NOT NULL,
    step          text NOT NULL,
    object_kind   text NOT NULL,
    schema_name   text,
    table_name    text,
    original_name text NOT NULL,
    hidden_name   text,
    restore_sql   text NOT NULL,
    purge_sql     text NOT NULL,
    owner         text,
    dropped_at    timestamptz NOT NULL,
    expires_at    timestamptz,
    restored_at   timestamptz,
    purged_at     timestamptz
);
-- statement
-- One statement, because each would be a message of its own.
DO $comments$
BEGIN
    COMMENT ON TABLE phasegate.schema_version IS
        'Versions of these tables, one row per numbered schema file';
    COMMENT ON COLUMN phasegate.schema_version.number IS 'Number of the schema file';
    COMMENT ON COLUMN phasegate.schema_version.name IS 'Its name';
    COMMENT ON COLUMN phasegate.schema_version.applied_at IS 'When it was applied';
    COMMENT ON COLUMN phasegate.schema_version.applied_by IS 'Database role that applied it';
    COMMENT ON TABLE phasegate.migration_history IS
        'The journal: append-only, one row per event, hash-chained. The newest row of a (plan, phase, step) is its state; deleting its rows makes the step run again and shows in phasegate history --verify';
    COMMENT ON COLUMN phasegate.migration_history.seq IS 'Number in the chain, without gaps';
    COMMENT ON COLUMN phasegate.migration_history.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.migration_history.phase IS 'expand, dual_read, write_activation or contract';
    COMMENT ON COLUMN phasegate.migration_history.step IS 'Step or task of the phase; NULL for events of the plan itself';
    COMMENT ON COLUMN phasegate.migration_history.kind IS 'What kind of event: a kind of task, transition, flag, approval, accept, note';
    COMMENT ON COLUMN phasegate.migration_history.description IS 'What it was, for people';
    COMMENT ON COLUMN phasegate.migration_history.checksum IS 'SHA-256 in hex of what would run';
    COMMENT ON COLUMN phasegate.migration_history.applied_at IS 'When';
    COMMENT ON COLUMN phasegate.migration_history.applied_by IS 'Who: the operating system user that ran phasegate';
    COMMENT ON COLUMN phasegate.migration_history.status IS 'started, done, skipped, failed, undone, not_applicable, transition, accepted or note';
    COMMENT ON COLUMN phasegate.migration_history.duration_ms IS 'How long it took, milliseconds';
    COMMENT ON COLUMN phasegate.migration_history.run_id IS 'Run that did it';
    COMMENT ON COLUMN phasegate.migration_history.host IS 'Machine that ran phasegate';
    COMMENT ON COLUMN phasegate.migration_history.release IS 'Release under which the phase was advanced';
    COMMENT ON COLUMN phasegate.migration_history.sql IS 'Statements as sent';
    COMMENT ON COLUMN phasegate.migration_history.undo_sql IS 'Statements that undo it';
    COMMENT ON COLUMN phasegate.migration_history.detail IS 'More, as a JSON object';
    COMMENT ON COLUMN phasegate.migration_history.machine_row IS 'Row of the transition table (phasegate show machine)';
    COMMENT ON COLUMN phasegate.migration_history.prev_hash IS 'hash of the row before; empty for the first';
    COMMENT ON COLUMN phasegate.migration_history.hash IS 'sha256(prev_hash || the row as a JSON array of all columns before prev_hash, in UTF-8; applied_at as microseconds since 1970)';
    COMMENT ON TABLE phasegate.journal_head IS
        'The end of the journal''s chain: makes a cut-off end visible, and its row lock puts appends in order';
    COMMENT ON COLUMN phasegate.journal_head.one IS 'Always true: there is one row';
    COMMENT ON COLUMN phasegate.journal_head.seq IS 'seq of the newest journal row';
    COMMENT ON COLUMN phasegate.journal_head.prev_hash IS 'Its prev_hash';
    COMMENT ON COLUMN phasegate.journal_head.hash IS 'Its hash';
    COMMENT ON FUNCTION phasegate.refuse_change IS 'Trigger: keeps the journal append-only';
    COMMENT ON FUNCTION phasegate.refuse_headless IS 'Error of an append to a journal without its head';
    COMMENT ON TABLE phasegate.migration_lock IS
        'Describes who holds the lease, for messages. The lease itself is a session advisory lock: a row that outlived its backend holds nothing';
    COMMENT ON COLUMN phasegate.migration_lock.namespace IS 'Name of the lease';
    COMMENT ON COLUMN phasegate.migration_lock.run_id IS 'Run of the holder';
    COMMENT ON COLUMN phasegate.migration_lock.host IS 'Its machine';
    COMMENT ON COLUMN phasegate.migration_lock.os_user IS 'Its user there';
    COMMENT ON COLUMN phasegate.migration_lock.pid IS 'Its process there';
    COMMENT ON COLUMN phasegate.migration_lock.backend_pid IS 'pid of its database session';
    COMMENT ON COLUMN phasegate.migration_lock.command IS 'Command that is running';
    COMMENT ON COLUMN phasegate.migration_lock.step IS 'Where it is';
    COMMENT ON COLUMN phasegate.migration_lock.since IS 'Holds the lease since';
    COMMENT ON COLUMN phasegate.migration_lock.step_since IS 'At that step since';
    COMMENT ON TABLE phasegate.plan_state IS
        'Where each plan stands';
    COMMENT ON COLUMN phasegate.plan_state.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.plan_state.stage IS 'What of its phases is done: planned, expand running, expand done, ...';
    COMMENT ON COLUMN phasegate.plan_state.stage_since IS 'Since when';
    COMMENT ON COLUMN phasegate.plan_state.brake IS 'Why it isn''t going on: none, paused, halted or killed';
    COMMENT ON COLUMN phasegate.plan_state.brake_reason IS 'Why the brake was put on';
    COMMENT ON COLUMN phasegate.plan_state.brake_by IS 'Who put it on';
    COMMENT ON COLUMN phasegate.plan_state.brake_since IS 'Since when';
    COMMENT ON COLUMN phasegate.plan_state.task IS 'What is running or waited on';
    COMMENT ON COLUMN phasegate.plan_state.waiting_for IS 'What it waits for, a sentence; NULL: it doesn''t wait';
    COMMENT ON COLUMN phasegate.plan_state.waiting_holder IS 'Who or what holds that';
    COMMENT ON COLUMN phasegate.plan_state.waiting_release IS 'What ends the wait: a command or a condition';
    COMMENT ON COLUMN phasegate.plan_state.waiting_since IS 'Waiting since';
    COMMENT ON COLUMN phasegate.plan_state.waiting_until IS 'When the wait gives up; NULL: never by itself';
    COMMENT ON COLUMN phasegate.plan_state.read_percent IS 'Confirmed exposure of the read flag';
    COMMENT ON COLUMN phasegate.plan_state.write_percent IS 'Confirmed exposure of the write flag';
    COMMENT ON COLUMN phasegate.plan_state.rung_confirmed_at IS 'When the current rung was confirmed: its pause starts here';
    COMMENT ON COLUMN phasegate.plan_state.verified IS 'Was the backfill verified, and nothing has voided it since?';
    COMMENT ON COLUMN phasegate.plan_state.first_write_rung IS 'Was the write flag above 0 since the last verification began?';
    COMMENT ON COLUMN phasegate.plan_state.release_expand IS 'Release under which expand was advanced';
    COMMENT ON COLUMN phasegate.plan_state.release_dual_read IS 'Release under which dual_read was advanced';
    COMMENT ON COLUMN phasegate.plan_state.release_write_activation IS 'Release under which write_activation was advanced';
    COMMENT ON COLUMN phasegate.plan_state.release_contract IS 'Release under which contract was advanced';
    COMMENT ON COLUMN phasegate.plan_state.checksum IS 'SHA-256 of the plan when it was last advanced';
    COMMENT ON COLUMN phasegate.plan_state.hold_until IS 'End of the hold of the soft drop';
    COMMENT ON COLUMN phasegate.plan_state.rows_done IS 'Rows done by the running backfill';
    COMMENT ON COLUMN phasegate.plan_state.updated_at IS 'When this row was written';
    COMMENT ON TABLE phasegate.release_window IS
        'Which releases may run against this database: one row, or none while nothing is known. For deploy pipelines and applications';
    COMMENT ON COLUMN phasegate.release_window.one IS 'Always true: there is one row';
    COMMENT ON COLUMN phasegate.release_window.oldest IS 'Oldest release that still works; NULL: any';
    COMMENT ON COLUMN phasegate.release_window.newest IS 'Newest release that is allowed; NULL: any';
    COMMENT ON COLUMN phasegate.release_window.why IS 'What moved the window last';
    COMMENT ON COLUMN phasegate.release_window.since IS 'When';
    COMMENT ON TABLE phasegate.flag_change IS
        'Writes to flags, ours, as far as this ledger has heard of them';
    COMMENT ON COLUMN phasegate.flag_change.op_id IS 'Id of the write, also in the local journal and the flag service''s own audit trail';
    COMMENT ON COLUMN phasegate.flag_change.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.flag_change.flag IS 'Key of the flag';
    COMMENT ON COLUMN phasegate.flag_change.role IS 'read or write';
    COMMENT ON COLUMN phasegate.flag_change.environment IS 'Environment of the flag service';
    COMMENT ON COLUMN phasegate.flag_change.desired IS 'Value asked for: OFF, ON or a percentage';
    COMMENT ON COLUMN phasegate.flag_change.before IS 'Value observed before';
    COMMENT ON COLUMN phasegate.flag_change.after IS 'Value observed afterwards';
    COMMENT ON COLUMN phasegate.flag_change.answer IS 'What the write answered; NULL: not known yet, so in doubt';
    COMMENT ON COLUMN phasegate.flag_change.level IS 'How certain: accepted, configured, delivered or confirmed';
    COMMENT ON COLUMN phasegate.flag_change.reason IS 'Why it was written';
    COMMENT ON COLUMN phasegate.flag_change.actor IS 'Who wrote it';
    COMMENT ON COLUMN phasegate.flag_change.run_id IS 'Run that wrote it';
    COMMENT ON COLUMN phasegate.flag_change.at IS 'When';
    COMMENT ON COLUMN phasegate.flag_change.ms IS 'How long until that level, milliseconds';
    COMMENT ON TABLE phasegate.backfill_job IS
        'Backfills, one row each';
    COMMENT ON COLUMN phasegate.backfill_job.job_id IS 'Id';
    COMMENT ON COLUMN phasegate.backfill_job.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.backfill_job.name IS 'Name of the backfill in the plan';
    COMMENT ON COLUMN phasegate.backfill_job.rel IS 'Table that is filled';
    COMMENT ON COLUMN phasegate.backfill_job.checksum IS 'SHA-256 of the backfill as planned; another one starts it again';
    COMMENT ON COLUMN phasegate.backfill_job.status IS 'planned, running, done, failed, void (filled, but no longer to be trusted), ...';
    COMMENT ON COLUMN phasegate.backfill_job.status_reason IS 'Why it has that status';
    COMMENT ON COLUMN phasegate.backfill_job.status_since IS 'Since when';
    COMMENT ON COLUMN phasegate.backfill_job.mode IS 'How batches are cut: keyset, ctid or client';
    COMMENT ON COLUMN phasegate.backfill_job.key_columns IS 'Columns of the key';
    COMMENT ON COLUMN phasegate.backfill_job.hi IS 'Key at which it ends, frozen once writes are in sync; JSON array';
    COMMENT ON COLUMN phasegate.backfill_job.cursor IS 'Key up to which it is done; JSON array, NULL: from the start';
    COMMENT ON COLUMN phasegate.backfill_job.relfilenode_at_plan IS 'Storage of the table when it was planned: a rewrite invalidates ctid slices';
    COMMENT ON COLUMN phasegate.backfill_job.epoch IS 'Fence: a run that was taken over has an older one and can''t move the cursor';
    COMMENT ON COLUMN phasegate.backfill_job.rows_total IS 'Rows to visit, estimated';
    COMMENT ON COLUMN phasegate.backfill_job.rows_done IS 'Rows visited';
    COMMENT ON COLUMN phasegate.backfill_job.rows_changed IS 'Rows changed';
    COMMENT ON COLUMN phasegate.backfill_job.batches IS 'Batches committed';
    COMMENT ON COLUMN phasegate.backfill_job.bad_rows IS 'Rows in quarantine';
    COMMENT ON COLUMN phasegate.backfill_job.max_bad_rows IS 'More than these fail it';
    COMMENT ON COLUMN phasegate.backfill_job.knobs IS 'Settings in force';
    COMMENT ON COLUMN phasegate.backfill_job.est_seconds IS 'Estimated time, seconds';
    COMMENT ON COLUMN phasegate.backfill_job.est_wal_bytes IS 'Estimated WAL, bytes';
    COMMENT ON COLUMN phasegate.backfill_job.est_growth_bytes IS 'Estimated growth of the table, bytes';
    COMMENT ON COLUMN phasegate.backfill_job.run_id IS 'Run that has it';
    COMMENT ON COLUMN phasegate.backfill_job.created_at IS 'When it was planned';
    COMMENT ON COLUMN phasegate.backfill_job.started_at IS 'When it began';
    COMMENT ON COLUMN phasegate.backfill_job.finished_at IS 'When it ended';
    COMMENT ON COLUMN phasegate.backfill_job.verified_at IS 'When nothing was found left to do';
    COMMENT ON COLUMN phasegate.backfill_job.updated_at IS 'When this row was written';
    COMMENT ON TABLE phasegate.approval IS
        'Approvals and refusals. One binds to the checksum it was given for';
    COMMENT ON COLUMN phasegate.approval.approval_id IS 'Id';
    COMMENT ON COLUMN phasegate.approval.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.approval.phase IS 'Phase';
    COMMENT ON COLUMN phasegate.approval.checksum IS 'SHA-256 of what was approved';
    COMMENT ON COLUMN phasegate.approval.role IS 'Role in which it was given';
    COMMENT ON COLUMN phasegate.approval.who IS 'Who gave it';
    COMMENT ON COLUMN phasegate.approval.because IS 'Why';
    COMMENT ON COLUMN phasegate.approval.host IS 'From which machine';
    COMMENT ON COLUMN phasegate.approval.refused IS 'A refusal instead of an approval';
    COMMENT ON COLUMN phasegate.approval.at IS 'When';
    COMMENT ON TABLE phasegate.soft_drop IS
        'What contract has hidden and not yet destroyed';
    COMMENT ON COLUMN phasegate.soft_drop.soft_drop_id IS 'Id';
    COMMENT ON COLUMN phasegate.soft_drop.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.soft_drop.step IS 'Step of the contract';
    COMMENT ON COLUMN phasegate.soft_drop.object_kind IS 'column, table, index, ...';
    COMMENT ON COLUMN phasegate.soft_drop.schema_name IS 'Schema it was in';
    COMMENT ON COLUMN phasegate.soft_drop.table_name IS 'Table it belongs to, or is';
    COMMENT ON COLUMN phasegate.soft_drop.original_name IS 'Name before';
    COMMENT ON COLUMN phasegate.soft_drop.hidden_name IS 'Name meanwhile';
    COMMENT ON COLUMN phasegate.soft_drop.restore_sql IS 'Statements that bring it back';
    COMMENT ON COLUMN phasegate.soft_drop.purge_sql IS 'Statements that destroy it';
    COMMENT ON COLUMN phasegate.soft_drop.owner IS 'Who is asked about it';
    COMMENT ON COLUMN phasegate.soft_drop.dropped_at IS 'When it was hidden';
    COMMENT ON COLUMN phasegate.soft_drop.expires_at IS 'Purge is refused before';
    COMMENT ON COLUMN phasegate.soft_drop.restored_at IS 'When it was brought back; NULL: not';
    COMMENT ON COLUMN phasegate.soft_drop.purged_at IS 'When it was destroyed; NULL: not';
END
$comments$;
