CREATE DATABASE shop;
CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(200), stock INT);
CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, item INT, note TEXT);
INSERT INTO shop.items SELECT seq, CONCAT('item ', seq), 100 FROM shop.seq_1_to_100;
CREATE USER test IDENTIFIED BY 'test';
GRANT ALL ON *.* TO test;
CREATE DEFINER=test PROCEDURE shop.report() SELECT COUNT(*) FROM shop.items;
