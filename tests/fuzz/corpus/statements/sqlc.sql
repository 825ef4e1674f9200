-- name: GetOrder :one
SELECT sqlc.embed(o), sqlc.embed(c) FROM orders o NATURAL JOIN customers c WHERE o.id = @id AND j @> @j;

/* name: PutOrders :copyfrom */
INSERT INTO orders (id, note) VALUES (sqlc.arg(id), sqlc.narg('note')::text) ON CONFLICT (id) DO UPDATE SET note = excluded.note;

-- name: Some :batchmany
-- types: int4[], numeric(10,2)
-- captured: pg_stat_statements
WITH d AS (DELETE FROM orders USING customers c RETURNING *) SELECT row_to_json(d), $1, $2 FROM d WHERE id = ANY(sqlc.slice(ids));
