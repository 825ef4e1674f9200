-- Release 1.2.0: the address is read from either column, by the read flag.

-- name: GetCustomer :one
-- when: customers-email-read=off
-- args: (1)
SELECT id, name, mail AS email, joined_at FROM customers WHERE id = $1;

-- name: GetCustomer :one
-- when: customers-email-read=on
-- args: (1)
SELECT id, name, email, joined_at FROM customers WHERE id = $1;

-- name: FindCustomer :one
-- when: customers-email-read=off
-- args: ('ada@example.com')
SELECT id, name FROM customers WHERE mail = $1;

-- name: FindCustomer :one
-- when: customers-email-read=on
-- args: ('ada@example.com')
SELECT id, name FROM customers WHERE email = $1;

-- name: AddCustomer :one
-- args: ('Ada', 'ada@example.com')
INSERT INTO customers (name, mail) VALUES ($1, $2) RETURNING id;

-- name: ChangeAddress :exec
-- args: (1, 'countess@example.com')
UPDATE customers SET mail = $2 WHERE id = $1;

-- name: NewestCustomers :many
-- args: (10)
SELECT id, name, joined_at FROM customers ORDER BY joined_at DESC, id LIMIT $1;
