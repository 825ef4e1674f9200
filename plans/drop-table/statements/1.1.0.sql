-- Release 1.1.0: nothing here knows coupons.

-- name: GetOrder :one
-- args: (1)
SELECT customer, cents, placed_at FROM orders WHERE id = $1;

-- name: PlaceOrder :one
-- args: ('ada', 1990)
INSERT INTO orders (customer, cents) VALUES ($1, $2) RETURNING id;
