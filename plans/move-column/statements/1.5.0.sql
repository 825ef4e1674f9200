-- Release 1.5.0: as 1.4.0. The column can go once this is deployed.

-- name: GetProduct :one
-- args: (1)
SELECT p.name, i.shelf, i.stock
  FROM products p JOIN inventory i ON i.product_id = p.id
 WHERE p.id = $1;

-- name: ListLow :many
-- args: (5)
SELECT p.id, p.name
  FROM products p JOIN inventory i ON i.product_id = p.id
 WHERE i.stock < $1
 ORDER BY p.id;

-- name: AddProduct :one
-- tx: AddProduct
-- args: ('tea')
INSERT INTO products (name) VALUES ($1) RETURNING id;

-- name: AddShelf :exec
-- tx: AddProduct
-- args: ('A1', 10)
INSERT INTO inventory (product_id, shelf, stock)
VALUES (currval(pg_get_serial_sequence('products', 'id')), $1, $2);

-- name: Sell :exec
-- args: (1, 2)
UPDATE inventory SET stock = stock - $2 WHERE product_id = $1;
