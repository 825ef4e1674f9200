-- Release 1.2.0: reads either column, by the read flag. Writes both.

-- name: GetProduct :one
-- when: inventory-stock-read=off
-- args: (1)
SELECT p.name, i.shelf, p.stock
  FROM products p JOIN inventory i ON i.product_id = p.id
 WHERE p.id = $1;

-- name: GetProduct :one
-- when: inventory-stock-read=on
-- args: (1)
SELECT p.name, i.shelf, i.stock
  FROM products p JOIN inventory i ON i.product_id = p.id
 WHERE p.id = $1;

-- name: ListLow :many
-- when: inventory-stock-read=off
-- args: (5)
SELECT id, name FROM products WHERE stock < $1 ORDER BY id;

-- name: ListLow :many
-- when: inventory-stock-read=on
-- args: (5)
SELECT p.id, p.name
  FROM products p JOIN inventory i ON i.product_id = p.id
 WHERE i.stock < $1
 ORDER BY p.id;

-- name: AddProduct :one
-- tx: AddProduct
-- args: ('tea', 10)
INSERT INTO products (name, stock) VALUES ($1, $2) RETURNING id;

-- name: AddShelf :exec
-- tx: AddProduct
-- args: ('A1', 10)
INSERT INTO inventory (product_id, shelf, stock)
VALUES (currval(pg_get_serial_sequence('products', 'id')), $1, $2);

-- name: Sell :exec
-- tx: Sell
-- args: (1, 2)
UPDATE products SET stock = stock - $2 WHERE id = $1;

-- name: CopyStock :exec
-- tx: Sell
-- args: (1)
UPDATE inventory i SET stock = p.stock FROM products p WHERE p.id = i.product_id AND i.product_id = $1;
