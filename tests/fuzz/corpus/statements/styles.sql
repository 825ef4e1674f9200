-- name: A
SELECT :a, :b::int, y[1:2];
-- name: B
SELECT ?, j ?? 'k';
-- name: C
SELECT %s, %(name)s, 7 %% 2;
