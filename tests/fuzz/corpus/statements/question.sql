-- name: Json
-- args: ('a'), ('b')
SELECT j ??| ARRAY['?'], j ??& a, a$1 FROM t /* ? /* ?? */ ? */ WHERE $x$ ? $x$ = ?;
-- name: Colon
SELECT a::int, :b, y[1:2], z[a:b], 'x'::text[:c];
