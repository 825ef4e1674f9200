-- purpose: say what the schema is for
-- params: none
-- returns: nothing
COMMENT ON SCHEMA phasegate IS
    'phasegate''s ledger: what was done to this database, by whom, and where each plan stands'
