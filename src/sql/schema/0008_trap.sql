-- Who still uses what contract has hidden.
-- No row is ever waited for, and none is looked up by a unique key: a writer must not be held up, nor fail. So there may
-- be several rows of one kind, and who reads adds them up.
CREATE TABLE phasegate.soft_drop_touch (
    touch_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan             text NOT NULL,
    step             text NOT NULL,
    operation        text NOT NULL,
    role             text NOT NULL,
    application_name text NOT NULL,
    touches          bigint NOT NULL DEFAULT 1,
    first_at         timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    last_at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
-- statement
CREATE INDEX soft_drop_touch_who ON phasegate.soft_drop_touch (plan, step, role, application_name, operation);
-- statement
CREATE TABLE phasegate.soft_drop_calls (
    plan    text NOT NULL,
    step    text NOT NULL,
    queryid bigint NOT NULL,
    userid  oid NOT NULL,
    calls   bigint NOT NULL,
    PRIMARY KEY (plan, step, queryid, userid)
);
-- statement
-- Once per statement of a client, however many rows it writes: what it has said of itself last is kept in a setting that
-- ends with the transaction. Where a snapshot lasts longer than a statement, reading a row that others write could fail
-- the writer, now or at its commit; there each statement gets a row of its own.
CREATE FUNCTION phasegate.trap() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
    SET lock_timeout = '20ms' AS $trap$
DECLARE
    app     text := pg_catalog.current_setting('application_name');
    who     text := pg_catalog.current_setting('role');
    mark    text := TG_RELID || ' ' || TG_NAME || ' ' || TG_OP || ' ' || pg_catalog.statement_timestamp();
    inside  text;
    known   bigint;
BEGIN
    IF app NOT LIKE 'phasegate/%'
       AND pg_catalog.current_setting('phasegate.touched', true) IS DISTINCT FROM mark THEN
        PERFORM pg_catalog.set_config('phasegate.touched', mark, true);
        -- A foreign key's own DELETE and UPDATE: nobody asked for the hidden thing.
        IF pg_catalog.pg_trigger_depth() > 1 THEN
            GET DIAGNOSTICS inside = PG_CONTEXT;
        END IF;
        IF inside IS NULL OR inside !~ E'^[^\n]*\nSQL statement "(DELETE FROM|UPDATE) ONLY ' THEN
            IF who = 'none' THEN
                who := session_user;
            END IF;
            BEGIN
                IF pg_catalog.current_setting('transaction_isolation') = 'read committed' THEN
                    SELECT t.touch_id INTO known FROM phasegate.soft_drop_touch AS t
                     WHERE t.plan = TG_ARGV[0] AND t.step = TG_ARGV[1] AND t.role = who AND t.application_name = app
                       AND t.operation = TG_OP
                     LIMIT 1 FOR UPDATE SKIP LOCKED;
                END IF;
                IF known IS NOT NULL THEN
                    UPDATE phasegate.soft_drop_touch AS t
                       SET touches = t.touches + 1, last_at = pg_catalog.clock_timestamp()
                     WHERE t.touch_id = known;
                ELSE
                    INSERT INTO phasegate.soft_drop_touch (plan, step, operation, role, application_name)
                    VALUES (TG_ARGV[0], TG_ARGV[1], TG_OP, who, app);
                END IF;
            EXCEPTION WHEN OTHERS THEN
                NULL;
            END;
        END IF;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$trap$;
-- statement
DO $comments$
BEGIN
    -- Whoever may make triggers isn't to make this one.
    EXECUTE 'REVOKE ALL ON FUNCTION phasegate.trap() FROM PUBLIC';
    COMMENT ON TABLE phasegate.soft_drop_touch IS
        'Writes to what is hidden: by whom, since when, how often. Rows of one kind are added up';
    COMMENT ON COLUMN phasegate.soft_drop_touch.touch_id IS 'Id';
    COMMENT ON COLUMN phasegate.soft_drop_touch.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.soft_drop_touch.step IS 'Step of the contract that hid it';
    COMMENT ON COLUMN phasegate.soft_drop_touch.operation IS 'INSERT, UPDATE, DELETE or TRUNCATE';
    COMMENT ON COLUMN phasegate.soft_drop_touch.role IS 'Role that wrote';
    COMMENT ON COLUMN phasegate.soft_drop_touch.application_name IS 'Its application_name';
    COMMENT ON COLUMN phasegate.soft_drop_touch.touches IS 'How many statements';
    COMMENT ON COLUMN phasegate.soft_drop_touch.first_at IS 'The first of them';
    COMMENT ON COLUMN phasegate.soft_drop_touch.last_at IS 'The newest of them';
    COMMENT ON TABLE phasegate.soft_drop_calls IS
        'pg_stat_statements as it stood when something was hidden: only what was called since counts';
    COMMENT ON COLUMN phasegate.soft_drop_calls.plan IS 'Plan id';
    COMMENT ON COLUMN phasegate.soft_drop_calls.step IS 'Step of the contract that hid it';
    COMMENT ON COLUMN phasegate.soft_drop_calls.queryid IS 'Statement; 0: all there were are recorded';
    COMMENT ON COLUMN phasegate.soft_drop_calls.userid IS 'Role that ran it';
    COMMENT ON COLUMN phasegate.soft_drop_calls.calls IS 'How often, until then';
    COMMENT ON FUNCTION phasegate.trap IS 'Trigger: records who writes to what is hidden';
END
$comments$;
