-- phasegate: allow index-not-concurrent until 5.0 because the table is small approved-by alice
CREATE INDEX i ON orders (a);
/* phasegate: allow not-null-scan until 5.0.1 because
   nobody is there */ ALTER TABLE orders ALTER COLUMN z SET NOT NULL; -- phasegate: allow x until y because z
