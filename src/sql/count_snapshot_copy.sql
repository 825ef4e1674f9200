-- purpose: how many rows came out of a snapshot's file
-- params: none
-- returns: one row: a number; <<copy>> is the table that they came into
SELECT pg_catalog.count(*) FROM <<copy>>
