-- Release 1.3.0: and written to either by the write flags. The triggers fill the other one.

-- name: GetOrder :one
-- when: orders-id-read=off
-- args: (1)
SELECT id::bigint AS id, customer, placed_at FROM orders WHERE id = $1;

-- name: GetOrder :one
-- when: orders-id-read=on
-- args: (1)
SELECT id_big AS id, customer, placed_at FROM orders WHERE id_big = $1;

-- name: ListOrders :many
-- when: orders-id-read=off
-- args: ('ada')
SELECT id::bigint AS id, placed_at FROM orders WHERE customer = $1 ORDER BY orders.id;

-- name: ListOrders :many
-- when: orders-id-read=on
-- args: ('ada')
SELECT id_big AS id, placed_at FROM orders WHERE customer = $1 ORDER BY orders.id_big;

-- name: ListItems :many
-- when: order-items-order-id-read=off
-- args: (1)
SELECT line, product, quantity FROM order_items WHERE order_id = $1 ORDER BY line;

-- name: ListItems :many
-- when: order-items-order-id-read=on
-- args: (1)
SELECT line, product, quantity FROM order_items WHERE order_id_big = $1 ORDER BY line;

-- name: CountSold :one
-- args: ('tea')
SELECT count(*) AS orders, sum(i.quantity) AS sold
  FROM orders o JOIN order_items i ON i.order_id = o.id
 WHERE i.product = $1;

-- name: PlaceOrder :one
-- when: orders-id-write=off
-- tx: PlaceOrder
-- args: ('ada')
INSERT INTO orders (customer) VALUES ($1) RETURNING id::bigint AS id;

-- name: PlaceOrder :one
-- when: orders-id-write=on
-- tx: PlaceOrder
-- args: ('ada')
INSERT INTO orders (id_big, customer) VALUES (nextval('orders_id_seq'), $1) RETURNING id_big AS id;

-- name: AddItem :exec
-- when: order-items-order-id-write=off
-- tx: PlaceOrder
-- args: (1, 'tea', 2)
INSERT INTO order_items (order_id, line, product, quantity)
VALUES (currval('orders_id_seq'), $1, $2, $3);

-- name: AddItem :exec
-- when: order-items-order-id-write=on
-- tx: PlaceOrder
-- args: (1, 'tea', 2)
INSERT INTO order_items (order_id_big, line, product, quantity)
VALUES (currval('orders_id_seq'), $1, $2, $3);
