-- Release 1.0.0: the stock is in products.

-- name: GetProduct :one
-- args: (1)
SELECT p.name, i.shelf, p.stock
  FROM products p JOIN inventory i ON i.product_id = p.id
 WHERE p.id = $1;

-- name: ListLow :many
-- args: (5)
SELECT id, name FROM products WHERE stock < $1 ORDER BY id;

-- name: AddProduct :one
-- tx: AddProduct
-- args: ('tea', 10)
INSERT INTO products (name, stock) VALUES ($1, $2) RETURNING id;

-- name: AddShelf :exec
-- tx: AddProduct
-- args: ('A1')
INSERT INTO inventory (product_id, shelf)
VALUES (currval(pg_get_serial_sequence('products', 'id')), $1);

-- name: Sell :exec
-- args: (1, 2)
UPDATE products SET stock = stock - $2 WHERE id = $1;
