-- Orders of the shop.

-- name: GetOrder :one
-- when: orders-read=on
-- args: (1, 'it''s'), (2, NULL)
-- tx: PlaceOrder
-- role: app
-- knows: order_status=refunded
-- phasegate: allow wire-change until 4.4.0 because the client is strict
SELECT a, '$1' FROM orders /* not $9 */ WHERE id = $1 AND note = $2;

-- name: GetOrder :one
-- when: orders-read=off
SELECT b, $$x$$ FROM orders WHERE id = $1 AND note = $2
