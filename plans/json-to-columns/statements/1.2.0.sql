-- Release 1.2.0: reads data or the columns, by the read flag.

-- name: GetProfile :one
-- when: profiles-columns-read=off
-- args: (1)
SELECT name, data ->> 'city' AS city, (data ->> 'newsletter')::boolean AS newsletter FROM profiles WHERE id = $1;

-- name: GetProfile :one
-- when: profiles-columns-read=on
-- args: (1)
SELECT name, city, newsletter FROM profiles WHERE id = $1;

-- name: ListCity :many
-- when: profiles-columns-read=off
-- args: ('Vienna')
SELECT id, name FROM profiles WHERE data ->> 'city' = $1 ORDER BY id;

-- name: ListCity :many
-- when: profiles-columns-read=on
-- args: ('Vienna')
SELECT id, name FROM profiles WHERE city = $1 ORDER BY id;

-- name: AddProfile :one
-- args: ('Ada', 'Vienna')
INSERT INTO profiles (name, data) VALUES ($1, jsonb_build_object('city', $2::text)) RETURNING id;

-- name: SetNewsletter :exec
-- args: (1, true)
UPDATE profiles SET data = jsonb_set(data, '{newsletter}', to_jsonb($2::boolean)) WHERE id = $1;
