-- Release 1.1.0: as 1.0.0. The columns are there, and nobody here knows them.

-- name: GetProfile :one
-- args: (1)
SELECT name, data ->> 'city' AS city, (data ->> 'newsletter')::boolean AS newsletter FROM profiles WHERE id = $1;

-- name: ListCity :many
-- args: ('Vienna')
SELECT id, name FROM profiles WHERE data ->> 'city' = $1 ORDER BY id;

-- name: AddProfile :one
-- args: ('Ada', 'Vienna')
INSERT INTO profiles (name, data) VALUES ($1, jsonb_build_object('city', $2::text)) RETURNING id;

-- name: SetNewsletter :exec
-- args: (1, true)
UPDATE profiles SET data = jsonb_set(data, '{newsletter}', to_jsonb($2::boolean)) WHERE id = $1;
