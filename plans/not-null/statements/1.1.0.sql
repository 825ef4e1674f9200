-- Release 1.1.0: every write has a currency; those without one are still read.

-- name: GetSubscription :one
-- args: (1)
SELECT customer, cents, coalesce(currency, 'EUR') AS currency, started_at FROM subscriptions WHERE id = $1;

-- name: ListSubscriptions :many
-- args: ('ada')
SELECT id, cents, coalesce(currency, 'EUR') AS currency FROM subscriptions WHERE customer = $1 ORDER BY id;

-- name: Subscribe :one
-- args: ('ada', 990, 'EUR')
INSERT INTO subscriptions (customer, cents, currency) VALUES ($1, $2, coalesce($3, 'EUR')) RETURNING id;

-- name: ChangePrice :exec
-- args: (1, 1290, 'CHF')
UPDATE subscriptions SET cents = $2, currency = coalesce($3, currency, 'EUR') WHERE id = $1;
