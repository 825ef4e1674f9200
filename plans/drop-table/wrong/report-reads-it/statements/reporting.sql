-- What the nightly reports run, whichever release is live.

-- name: SalesByDay :many
SELECT date_trunc('day', placed_at) AS day, count(*) AS orders, sum(cents) AS cents
  FROM orders
 GROUP BY 1
 ORDER BY 1;

-- name: ListCoupons :many
SELECT code, percent FROM coupons ORDER BY code;
