-- Release 1.3.0: reads the new table only. Writes both, for 1.2.0 may still read the old one.

-- name: GetAddress :one
-- args: (1)
SELECT street, city FROM customer_addresses WHERE customer_id = $1;

-- name: ListCity :many
-- args: ('Vienna')
SELECT c.id, c.name
  FROM customers c JOIN customer_addresses a ON a.customer_id = c.id
 WHERE a.city = $1
 ORDER BY c.id;

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
