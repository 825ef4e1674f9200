-- Release 1.3.0: and writes either, by the write flag. The trigger fills the other side.

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
-- when: profiles-columns-write=off
-- args: ('Ada', 'Vienna')
INSERT INTO profiles (name, data) VALUES ($1, jsonb_build_object('city', $2::text)) RETURNING id;

-- name: AddProfile :one
-- when: profiles-columns-write=on
-- args: ('Ada', 'Vienna')
INSERT INTO profiles (name, city) VALUES ($1, $2) RETURNING id;

-- name: SetNewsletter :exec
-- when: profiles-columns-write=off
-- args: (1, true)
UPDATE profiles SET data = jsonb_set(data, '{newsletter}', to_jsonb($2::boolean)) WHERE id = $1;

-- name: SetNewsletter :exec
-- when: profiles-columns-write=on
-- args: (1, true)
UPDATE profiles SET newsletter = $2 WHERE id = $1;
