-- purpose: sequences go on behind the numbers that others take
-- params: $1 bigint: how many numbers
-- returns: the new number of each that was behind
SELECT pg_catalog.setval(x.seqrelid, x.target) FROM (SELECT s.seqrelid,
  least(s.seqstart + $1::pg_catalog.int8 * s.seqincrement, s.seqmax) AS target FROM pg_catalog.pg_sequence s
  WHERE s.seqincrement > 0 AND s.seqstart < s.seqmax) x
WHERE COALESCE(pg_catalog.pg_sequence_last_value(x.seqrelid), 0) < x.target
