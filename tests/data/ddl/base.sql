-- What every case starts from: each table has rows.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN plain AS int;
CREATE DOMAIN checked AS int CHECK (VALUE > 0);
CREATE DOMAIN required AS int NOT NULL;
CREATE DOMAIN unused AS int;
CREATE FUNCTION calm() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION wild() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION inlined() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE SEQUENCE numbers;
CREATE TABLE p (id int PRIMARY KEY, name text);
INSERT INTO p SELECT n, 'p' || n FROM generate_series(1, 100) n;
CREATE TABLE t (
  id int PRIMARY KEY, a int, ix int, b text, v varchar(10), vfree varchar, c char(5), n numeric(8,2), nfree numeric,
  ts timestamp, tz timestamptz, ts3 timestamp(3), tm time(3), tmfree time, vb varbit(8), bt bit(3), iv interval(3),
  ivfree interval, ip cidr, net inet, o oid, x xml, j json, jb jsonb, arr text[], varr varchar(10)[], iarr int[],
  m mood, pl plain, nn int NOT NULL DEFAULT 0, pos int CONSTRAINT pos_check CHECK (pos > 0),
  pos_text varchar(10) CONSTRAINT pos_text_check CHECK (pos_text <> ''),
  there int CONSTRAINT there_check CHECK (there IS NOT NULL), both_there int, weak int, p_id int, fk int REFERENCES p,
  collated text COLLATE "C", big bigint, small smallint, r real, dp double precision, flag boolean, d date, u uuid,
  nm name, vix varchar(10), bix text, CONSTRAINT both_check CHECK (both_there IS NOT NULL AND both_there < 1000000));
CREATE INDEX t_ix ON t (ix);
CREATE INDEX t_vix ON t (vix);
CREATE INDEX t_bix ON t (bix);
CREATE UNIQUE INDEX t_nn_key ON t (id, nn);
CREATE UNIQUE INDEX t_a_key ON t (a);
ALTER TABLE t ADD CONSTRAINT weak_check CHECK (weak IS NOT NULL) NOT VALID;
INSERT INTO t (id, a, ix, b, v, there, both_there, weak, pos, pos_text, p_id, fk, pl, nn, m, arr, n, big, small, bt, vb)
  SELECT n, n, n, 'b', 'v', n, n, n, n, 'x', n, n, n, n, 'ok', '{a}', 1, n, 1, B'101', B'1' FROM generate_series(1, 100) n;
CREATE TABLE nokey (a int NOT NULL, b int);
INSERT INTO nokey SELECT n, n FROM generate_series(1, 100) n;
CREATE UNIQUE INDEX nokey_a ON nokey (a);
CREATE UNIQUE INDEX nokey_b ON nokey (b);
CREATE UNLOGGED TABLE unlogged (a int);
INSERT INTO unlogged SELECT generate_series(1, 100);
CREATE TABLE part (id int, k int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (1000);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (1000) TO (2000);
INSERT INTO part SELECT n, n FROM generate_series(1, 1500) n;
CREATE TABLE fallback (id int, k int) PARTITION BY RANGE (id);
CREATE TABLE fallback_1 PARTITION OF fallback FOR VALUES FROM (0) TO (1000);
CREATE TABLE fallback_rest PARTITION OF fallback DEFAULT;
INSERT INTO fallback SELECT n, n FROM generate_series(1, 1500) n;
CREATE TABLE loose (id int, k int);
INSERT INTO loose SELECT n, n FROM generate_series(2000, 2100) n;
CREATE TABLE fitting (id int NOT NULL, k int, CONSTRAINT fits CHECK (id >= 2000 AND id < 3000));
INSERT INTO fitting SELECT n, n FROM generate_series(2000, 2100) n;
CREATE MATERIALIZED VIEW mv AS SELECT a, b FROM nokey;
CREATE UNIQUE INDEX mv_a ON mv (a);
CREATE VIEW w AS SELECT a FROM nokey;
