-- purpose: what trying each value has left in its transaction
-- params: none
-- returns: one row: "count|key: words|key: words"
SELECT pg_catalog.current_setting('phasegate.failed', true)
