-- phasegate: allow a, b until 1 because x
-- phasegate: allow
-- phasegate:
-- Phasegate: allow index-not-concurrent until 5.0 because x
-- phasegate: allow index-not-concurrent until 5.0 because approved-by
/* phasegate: allow index-not-concurrent until
