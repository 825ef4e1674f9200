CREATE TYPE mood AS ENUM ('calm');
CREATE TABLE accounts (id integer PRIMARY KEY, balance integer NOT NULL DEFAULT 0);
INSERT INTO accounts SELECT i, i * 7 % 1000 FROM generate_series(1, 3000) AS i;
GRANT SELECT (balance) ON accounts TO PUBLIC;
CREATE TABLE order_lines (id integer PRIMARY KEY, account_id integer REFERENCES accounts, legacy_ref text NOT NULL);
INSERT INTO order_lines SELECT i, 1 + i % 3000, 'L' || i FROM generate_series(1, 2000) AS i;
CREATE TABLE legacy_notes (id integer PRIMARY KEY, note text);
CREATE INDEX legacy_notes_note ON legacy_notes (note);
INSERT INTO legacy_notes SELECT i, 'note ' || i FROM generate_series(1, 200) AS i;
GRANT SELECT ON legacy_notes TO PUBLIC;

-- How often was each row updated? What is done twice shows here.
CREATE TABLE touched (rel text, id integer, times integer NOT NULL, PRIMARY KEY (rel, id));
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $touch$
BEGIN
    INSERT INTO public.touched VALUES (TG_TABLE_NAME, NEW.id, 1)
    ON CONFLICT (rel, id) DO UPDATE SET times = touched.times + 1;
    RETURN NULL;
END
$touch$;
CREATE TRIGGER touch AFTER UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch AFTER UPDATE ON order_lines FOR EACH ROW EXECUTE FUNCTION touch();
