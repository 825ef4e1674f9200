-- Release 1.4.0: nothing here knows data.

-- name: GetProfile :one
-- args: (1)
SELECT name, city, newsletter FROM profiles WHERE id = $1;

-- name: ListCity :many
-- args: ('Vienna')
SELECT id, name FROM profiles WHERE city = $1 ORDER BY id;

-- name: AddProfile :one
-- args: ('Ada', 'Vienna')
INSERT INTO profiles (name, city) VALUES ($1, $2) RETURNING id;

-- name: SetNewsletter :exec
-- args: (1, true)
UPDATE profiles SET newsletter = $2 WHERE id = $1;
