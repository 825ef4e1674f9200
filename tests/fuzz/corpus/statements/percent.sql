-- name: Like
SELECT 'é%%' LIKE %(é)s, 7 %% %s, %b, %t -- %%
FROM "a%%b" x WHERE $$ %% $$ = %(é)s AND E'\'%%';
-- name: Merge
-- args: ('x', NULL), (E'\'', ARRAY[1,(2)])
MERGE INTO t USING (SELECT * FROM u) s ON true WHEN MATCHED THEN UPDATE SET (a, b) = (%s, %s) WHEN NOT MATCHED THEN DO NOTHING;
