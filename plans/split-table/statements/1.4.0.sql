-- Release 1.4.0: the old columns are written only where the write flag is off. Nothing reads them.

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
-- when: customer-addresses-write=off
-- tx: AddCustomer
-- args: ('Ada', 'Ring 1', 'Vienna')
INSERT INTO customers (name, street, city) VALUES ($1, $2, $3) RETURNING id;

-- name: AddName :one
-- when: customer-addresses-write=on
-- tx: AddCustomer
-- args: ('Ada')
INSERT INTO customers (name) VALUES ($1) RETURNING id;

-- name: AddAddress :exec
-- tx: AddCustomer
-- args: ('Ring 1', 'Vienna')
INSERT INTO customer_addresses (customer_id, street, city)
VALUES (currval(pg_get_serial_sequence('customers', 'id')), $1, $2);

-- name: Move :exec
-- when: customer-addresses-write=off
-- tx: Move
-- args: (1, 'Quai 2', 'Graz')
UPDATE customers SET street = $2, city = $3 WHERE id = $1;

-- name: MoveAddress :exec
-- tx: Move
-- args: (1, 'Quai 2', 'Graz')
INSERT INTO customer_addresses (customer_id, street, city) VALUES ($1, $2, $3)
    ON CONFLICT (customer_id) DO UPDATE SET street = excluded.street, city = excluded.city;
