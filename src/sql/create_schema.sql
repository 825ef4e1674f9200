-- purpose: the schema of the ledger, where nobody has made it yet
-- params: none
-- returns: nothing
CREATE SCHEMA phasegate
