// A client of MariaDB on mysql2, which sends its statements as text or prepares them.
//   node mysql.mjs HOST:PORT text|prepared CONNECTIONS COUNT        see db.mjs
import { Readable } from 'node:stream';
import mysql from 'mysql2/promise';
import { load, step } from './db.mjs';

const [address, mode, connections, count] = process.argv.slice(2);
const [host, port] = address.split(':');

const op = (operation, collection, code) => ({ operation, ...(collection && { collection }), ...(code && { code }) });

const common = (id) => [
  ['SELECT name, stock FROM items WHERE id = ?', [id], op('SELECT', 'items')],
  ['SELECT REPEAT(?, 100000)', ['x'], op('SELECT')],
  ['INSERT INTO orders (item, note) VALUES (?, ?)', [id, "it's a note; -- or so"], op('INSERT', 'orders')],
  ['UPDATE items SET stock = stock + ? WHERE id = ?', [1, id], op('UPDATE', 'items')],
  ['DELETE FROM orders WHERE item = ?', [id], op('DELETE', 'orders')],
  ['INSERT INTO items VALUES (?, ?, 0)', [id, 'again'], op('INSERT', 'items', '1062')],
];

const texts = (id) => [
  ['SELECT * FROM missing WHERE id = ?', [id], op('SELECT', 'missing', '1146')],
  ['SELECT name FROM items WHERE', [], op('SELECT', 'items', '1064')],
  ['UPDATE items SET stock = 7 WHERE id = ?; SELECT name FROM items; SELECT 1', [id], op('UPDATE', 'items')],
  ['SELECT id FROM items LIMIT 3; SELECT * FROM missing', [], op('SELECT', 'items', '1146')],
  ['CALL report()', [], op('CALL')],
];

function transaction(c, id, end) {
  const made = [op('START'), op('UPDATE', 'items'), op(end)];
  return step(end, async () => {
    await c.beginTransaction();
    await c.query(`UPDATE items SET stock = 5 WHERE id = ${id}`);
    await (end === 'COMMIT' ? c.commit() : c.rollback());
  }, { made });
}

function textSteps(c, id) {
  const steps = [...common(id), ...texts(id)].map(([text, values, made]) => (
    step(text, () => c.query(text, values), { code: made.code, made: [made] })
  ));
  const local = { sql: "LOAD DATA LOCAL INFILE 'rows' INTO TABLE orders (item, note)", infileStreamFactory: () => Readable.from([Buffer.from('1\tone\n2\ttwo\n')]) };
  steps.push(step('load', () => c.query(local), { made: [op('LOAD', 'orders')] }));
  steps.push(step('ping', () => c.ping(), { made: [{ ...op('PING'), upkeep: true }] }));
  return steps;
}

// A statement is prepared when it is used first.
function preparedSteps(c, id, tally) {
  const steps = common(id).map(([text, values, made]) => {
    tally.add({ ...op('PREPARE', made.collection), upkeep: true });
    return step(text, () => c.execute(text, values), { code: made.code, made: [{ ...made, prepared: true }] });
  });
  steps.push(step('missing', () => c.execute('SELECT * FROM missing WHERE id = ?', [id]), { code: '1146', made: [op('PREPARE', 'missing', '1146')] }));
  return steps;
}

await load(Number(connections), Number(count), async (tally, id) => {
  const c = await mysql.createConnection({ host, port, user: 'test', password: 'test', database: 'shop', multipleStatements: true });
  tally.add({ ...op('CONNECT'), upkeep: true });
  const steps = mode === 'text' ? textSteps(c, id) : preparedSteps(c, id, tally);
  return { steps: [...steps, transaction(c, id, 'COMMIT'), transaction(c, id, 'ROLLBACK')], close: () => c.end() };
});
