-- nmae: x
-- name: 1
SELECT 'open