-- Release 1.0.0: keys are int.

-- name: GetOrder :one
-- args: (1)
SELECT id, customer, placed_at FROM orders WHERE id = $1;

-- name: ListOrders :many
-- args: ('ada')
SELECT id, placed_at FROM orders WHERE customer = $1 ORDER BY orders.id;

-- name: ListItems :many
-- args: (1)
SELECT line, product, quantity FROM order_items WHERE order_id = $1 ORDER BY line;

-- name: CountSold :one
-- args: ('tea')
SELECT count(*) AS orders, sum(i.quantity) AS sold
  FROM orders o JOIN order_items i ON i.order_id = o.id
 WHERE i.product = $1;

-- name: PlaceOrder :one
-- tx: PlaceOrder
-- args: ('ada')
INSERT INTO orders (customer) VALUES ($1) RETURNING id;

-- name: AddItem :exec
-- tx: PlaceOrder
-- args: (1, 'tea', 2)
INSERT INTO order_items (order_id, line, product, quantity)
VALUES (currval('orders_id_seq'), $1, $2, $3);
