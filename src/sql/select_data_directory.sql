-- purpose: where the server keeps its data, if it is on this very host
-- params: none
-- returns: one row, or none over the network; NULL: this role may not know
SELECT pg_catalog.current_setting('data_directory', true) WHERE pg_catalog.inet_server_addr() IS NULL
