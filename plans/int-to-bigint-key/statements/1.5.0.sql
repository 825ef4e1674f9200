-- Release 1.5.0: as 1.4.0. order_items.order_id can go once this is deployed.

-- name: GetOrder :one
-- args: (1)
SELECT id_big AS id, customer, placed_at FROM orders WHERE id_big = $1;

-- name: ListOrders :many
-- args: ('ada')
SELECT id_big AS id, placed_at FROM orders WHERE customer = $1 ORDER BY orders.id_big;

-- name: ListItems :many
-- args: (1)
SELECT line, product, quantity FROM order_items WHERE order_id_big = $1 ORDER BY line;

-- name: CountSold :one
-- args: ('tea')
SELECT count(*) AS orders, sum(i.quantity) AS sold
  FROM orders o JOIN order_items i ON i.order_id_big = o.id_big
 WHERE i.product = $1;

-- name: PlaceOrder :one
-- tx: PlaceOrder
-- args: ('ada')
INSERT INTO orders (id_big, customer) VALUES (nextval('orders_id_seq'), $1) RETURNING id_big AS id;

-- name: AddItem :exec
-- tx: PlaceOrder
-- args: (1, 'tea', 2)
INSERT INTO order_items (order_id_big, line, product, quantity)
VALUES (currval('orders_id_seq'), $1, $2, $3);
