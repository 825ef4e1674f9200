-- phasegate: allow ÿ until  because Ã
\set x
COPY t FROM stdin;
1
