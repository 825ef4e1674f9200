-- Release 1.3.0: refunds orders.

-- name: GetOrder :one
-- knows: order_status=refunded
-- args: (1)
SELECT customer, cents, status, placed_at FROM orders WHERE id = $1;

-- name: ListOrders :many
-- knows: order_status=refunded
-- args: ('ada')
SELECT id, cents, status FROM orders WHERE customer = $1 ORDER BY placed_at DESC, id LIMIT 20;

-- name: PlaceOrder :one
-- args: ('ada', 1990)
INSERT INTO orders (customer, cents) VALUES ($1, $2) RETURNING id;

-- name: PayOrder :exec
-- args: (1)
UPDATE orders SET status = 'paid' WHERE id = $1 AND status = 'placed';

-- name: ShipOrder :exec
-- args: (1)
UPDATE orders SET status = 'shipped' WHERE id = $1 AND status = 'paid';

-- name: RefundOrder :exec
-- args: (1)
UPDATE orders SET status = 'refunded' WHERE id = $1 AND status IN ('paid', 'shipped');
