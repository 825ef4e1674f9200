-- Release 1.0.0: addresses are columns of customers.

-- name: GetAddress :one
-- args: (1)
SELECT street, city FROM customers WHERE id = $1;

-- name: ListCity :many
-- args: ('Vienna')
SELECT id, name FROM customers WHERE city = $1 ORDER BY id;

-- name: AddCustomer :one
-- args: ('Ada', 'Ring 1', 'Vienna')
INSERT INTO customers (name, street, city) VALUES ($1, $2, $3) RETURNING id;

-- name: Move :exec
-- args: (1, 'Quai 2', 'Graz')
UPDATE customers SET street = $2, city = $3 WHERE id = $1;
