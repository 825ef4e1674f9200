-- purpose: what a verification found, slice by slice
-- params: $1 verification
-- returns: one row a slice, in their order; the digest as 16 hexadecimal digits, of this slice and of all of them
SELECT s.number, s.lo::text AS lo, s.hi::text AS hi, s.rows, s.rows_left, s.rows_differing, s.rows_known, s.rows_bad, s.ranges,
       pg_catalog.lpad(pg_catalog.to_hex((((s.digest + 9223372036854775808) % 18446744073709551616 + 18446744073709551616)
                                          % 18446744073709551616 - 9223372036854775808)::bigint), 16, '0') AS digest,
       pg_catalog.lpad(pg_catalog.to_hex((((t.digest + 9223372036854775808) % 18446744073709551616 + 18446744073709551616)
                                          % 18446744073709551616 - 9223372036854775808)::bigint), 16, '0') AS digest_of_all,
       (EXTRACT(epoch FROM v.began_at) * 1000)::bigint AS began_at_ms,
       (EXTRACT(epoch FROM v.finished_at) * 1000)::bigint AS finished_at_ms, v.compares
  FROM phasegate.backfill_verification AS v JOIN phasegate.backfill_verified_slice AS s USING (verification_id),
       LATERAL (SELECT pg_catalog.sum(o.digest) AS digest FROM phasegate.backfill_verified_slice AS o
                 WHERE o.verification_id = v.verification_id) AS t
 WHERE v.verification_id = $1::bigint
 ORDER BY s.number
