-- Release 1.0.0: coupons are given and taken.

-- name: GetOrder :one
-- args: (1)
SELECT customer, cents, placed_at FROM orders WHERE id = $1;

-- name: GetCoupon :one
-- args: ('SPRING')
SELECT id, percent FROM coupons WHERE code = $1;

-- name: GiveCoupon :one
-- args: ('SUMMER', 10)
INSERT INTO coupons (code, percent) VALUES ($1, $2) RETURNING id;

-- name: PlaceOrder :one
-- args: ('ada', 1990, 1)
INSERT INTO orders (customer, cents, coupon_id) VALUES ($1, $2, $3) RETURNING id;
