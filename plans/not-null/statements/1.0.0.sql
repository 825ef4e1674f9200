-- Release 1.0.0: the currency is left out, or taken as it comes from the form.

-- name: GetSubscription :one
-- args: (1)
SELECT customer, cents, coalesce(currency, 'EUR') AS currency, started_at FROM subscriptions WHERE id = $1;

-- name: ListSubscriptions :many
-- args: ('ada')
SELECT id, cents, coalesce(currency, 'EUR') AS currency FROM subscriptions WHERE customer = $1 ORDER BY id;

-- name: Subscribe :one
-- args: ('ada', 990)
INSERT INTO subscriptions (customer, cents) VALUES ($1, $2) RETURNING id;

-- name: ChangePrice :exec
-- args: (1, 1290, 'CHF')
UPDATE subscriptions SET cents = $2, currency = $3 WHERE id = $1;
