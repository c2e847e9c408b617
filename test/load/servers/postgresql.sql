CREATE TABLE items (id INT PRIMARY KEY, name TEXT, stock INT);
CREATE TABLE orders (id SERIAL PRIMARY KEY, item INT, note TEXT);
INSERT INTO items SELECT n, 'item ' || n, 100 FROM generate_series(1, 100) n;
