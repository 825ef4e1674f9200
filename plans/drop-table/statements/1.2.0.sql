-- Release 1.2.0: as 1.1.0. The table can go once this is deployed.

-- name: GetOrder :one
-- args: (1)
SELECT customer, cents, placed_at FROM orders WHERE id = $1;

-- name: PlaceOrder :one
-- args: ('ada', 1990)
INSERT INTO orders (customer, cents) VALUES ($1, $2) RETURNING id;
