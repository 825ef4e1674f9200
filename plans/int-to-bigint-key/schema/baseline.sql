CREATE TABLE orders (
    id        serial PRIMARY KEY,
    customer  text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_customer ON orders (customer);

CREATE TABLE order_items (
    order_id int NOT NULL REFERENCES orders (id),
    line     int NOT NULL,
    product  text NOT NULL,
    quantity int NOT NULL,
    PRIMARY KEY (order_id, line)
);
