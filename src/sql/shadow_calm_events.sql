-- purpose: turns off event triggers that fire in a replica's session
-- They would run as us, also where session_replication_role turns others off. In sessions of the origin it's the
-- same as before.
-- params: none
-- returns: nothing
DO $do$ DECLARE r record; BEGIN
FOR r IN SELECT evtname, evtenabled FROM pg_event_trigger WHERE evtenabled IN ('A', 'R') LOOP
EXECUTE format('ALTER EVENT TRIGGER %I %s', r.evtname,
CASE r.evtenabled WHEN 'A' THEN 'ENABLE' ELSE 'DISABLE' END); END LOOP; END $do$
