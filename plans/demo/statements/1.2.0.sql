-- Release 1.2.0: balances are read from either column, by the read flag, and shown as bigint.

-- name: GetBalance :one
-- when: accounts-balance-read=off
-- args: (1)
SELECT balance::bigint AS balance FROM accounts WHERE id = $1;

-- name: GetBalance :one
-- when: accounts-balance-read=on
-- args: (1)
SELECT balance_big AS balance FROM accounts WHERE id = $1;

-- name: ListAccounts :many
-- when: accounts-balance-read=off
-- args: (1)
SELECT id, balance::bigint AS balance, opened_at FROM accounts WHERE customer_id = $1 ORDER BY id;

-- name: ListAccounts :many
-- when: accounts-balance-read=on
-- args: (1)
SELECT id, balance_big AS balance, opened_at FROM accounts WHERE customer_id = $1 ORDER BY id;

-- name: TopAccounts :many
-- when: accounts-balance-read=off
-- args: (100)
SELECT id, balance::bigint AS balance FROM accounts WHERE balance >= $1 ORDER BY accounts.balance DESC, id LIMIT 10;

-- name: TopAccounts :many
-- when: accounts-balance-read=on
-- args: (100)
SELECT id, balance_big AS balance FROM accounts WHERE balance_big >= $1 ORDER BY balance_big DESC, id LIMIT 10;

-- name: OpenAccount :one
-- args: (1, 1000)
INSERT INTO accounts (customer_id, balance) VALUES ($1, $2) RETURNING id;

-- name: Deposit :one
-- args: (1, 500)
UPDATE accounts SET balance = balance + $2 WHERE id = $1 RETURNING id;

-- name: Withdraw :one
-- tx: PlaceOrder
-- args: (1, 250)
UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2 RETURNING id;

-- name: AddOrder :one
-- tx: PlaceOrder
-- args: (1, 250)
INSERT INTO orders (customer_id, account_id, total)
SELECT customer_id, id, $2 FROM accounts WHERE id = $1
RETURNING id;

-- name: AddItem :exec
-- tx: PlaceOrder
-- args: (1, 'tea', 2, 125)
INSERT INTO order_items (order_id, line, product, quantity, price)
VALUES (currval(pg_get_serial_sequence('orders', 'id')), $1, $2, $3, $4);

-- name: ListOrders :many
-- args: (1)
SELECT id, total, placed_at FROM orders WHERE customer_id = $1 ORDER BY placed_at DESC LIMIT 10;

-- name: GetOrder :many
-- args: (1)
SELECT o.id, o.total, i.line, i.product, i.quantity, i.price
  FROM orders o JOIN order_items i ON i.order_id = o.id
 WHERE o.id = $1
 ORDER BY i.line;
