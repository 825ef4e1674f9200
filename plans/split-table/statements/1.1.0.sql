-- Release 1.1.0: writes both tables, always. Nothing reads the new one.

-- name: GetAddress :one
-- args: (1)
SELECT street, city FROM customers WHERE id = $1;

-- name: ListCity :many
-- args: ('Vienna')
SELECT id, name FROM customers WHERE city = $1 ORDER BY id;

-- name: AddCustomer :one
-- tx: AddCustomer
-- args: ('Ada', 'Ring 1', 'Vienna')
INSERT INTO customers (name, street, city) VALUES ($1, $2, $3) RETURNING id;

-- name: AddAddress :exec
-- tx: AddCustomer
-- args: ('Ring 1', 'Vienna')
INSERT INTO customer_addresses (customer_id, street, city)
VALUES (currval(pg_get_serial_sequence('customers', 'id')), $1, $2);

-- name: Move :exec
-- tx: Move
-- args: (1, 'Quai 2', 'Graz')
UPDATE customers SET street = $2, city = $3 WHERE id = $1;

-- name: MoveAddress :exec
-- tx: Move
-- args: (1, 'Quai 2', 'Graz')
INSERT INTO customer_addresses (customer_id, street, city) VALUES ($1, $2, $3)
    ON CONFLICT (customer_id) DO UPDATE SET street = excluded.street, city = excluded.city;
