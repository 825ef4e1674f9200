-- Release 1.3.0: relies on the currency.

-- name: GetSubscription :one
-- args: (1)
SELECT customer, cents, currency, started_at FROM subscriptions WHERE id = $1;

-- name: ListSubscriptions :many
-- args: ('ada')
SELECT id, cents, currency FROM subscriptions WHERE customer = $1 ORDER BY id;

-- name: Subscribe :one
-- args: ('ada', 990, 'EUR')
INSERT INTO subscriptions (customer, cents, currency) VALUES ($1, $2, coalesce($3, 'EUR')) RETURNING id;

-- name: ChangePrice :exec
-- args: (1, 1290, 'CHF')
UPDATE subscriptions SET cents = $2, currency = coalesce($3, currency, 'EUR') WHERE id = $1;
