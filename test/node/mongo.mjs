// A client of MongoDB on the official driver, which tells of each command that it sends.
//   node mongo.mjs HOST:PORT CONNECTIONS COUNT        see db.mjs
import { MongoClient } from 'mongodb';
import { load, step } from './db.mjs';

const [address, connections, count] = process.argv.slice(2);

const upkeep = ['endSessions', 'ping'];
const duplicateKey = '11000';
const badValue = '2';
const unknownCommand = '59';
const nonsense = 'nonsense'; // a command that no server knows

// watch counts what the driver tells of its commands and of the first one on each connection.
function watch(client, tally) {
  const asked = new Map();
  const handshake = { operation: 'ismaster', upkeep: true };
  const ended = (e, code) => {
    const collection = asked.get(e.requestId);
    asked.delete(e.requestId);
    const known = e.commandName !== nonsense;
    tally.add({
      operation: known ? e.commandName : 'other', ...(known && typeof collection === 'string' && { collection }), ...(code && { code }),
      ...(upkeep.includes(e.commandName) && { upkeep: true }),
    });
  };
  client.on('commandStarted', (e) => asked.set(e.requestId, e.commandName === 'getMore' ? e.command.collection : e.command[e.commandName]));
  client.on('commandSucceeded', (e) => ended(e, String(e.reply.writeErrors?.[0].code ?? '')));
  client.on('commandFailed', (e) => ended(e, String(e.failure.code)));
  client.on('serverHeartbeatSucceeded', () => tally.add(handshake));
  client.on('connectionReady', () => tally.add(handshake));
}

await load(Number(connections), Number(count), async (tally, id) => {
  const client = new MongoClient(`mongodb://${address}/?directConnection=true`, {
    monitorCommands: true, maxPoolSize: 1, heartbeatFrequencyMS: 3_600_000, serverMonitoringMode: 'poll',
  });
  watch(client, tally);
  const items = client.db('shop').collection(`items-${process.pid}-${id}`);
  const orders = client.db('shop').collection('orders');
  await items.insertMany(Array.from({ length: 30 }, (_, i) => ({ _id: i, name: `item ${i}`, stock: i })));
  const note = "it's a note ".repeat(200);
  const steps = [
    step('insert', () => orders.insertOne({ item: id, note })),
    step('insert several', () => orders.insertMany([{ item: id, note }, { item: id, note }])),
    step('find one', () => items.findOne({ _id: 1 })),
    step('find all', () => items.find({}, { batchSize: 10 }).toArray()),
    step('update', () => items.updateOne({ _id: 1 }, { $inc: { stock: 1 } })),
    step('delete', () => orders.deleteMany({ item: id })),
    step('aggregate', () => items.aggregate([{ $group: { _id: null, sum: { $sum: '$stock' } } }]).toArray()),
    step('duplicate', () => items.insertOne({ _id: 1 }), { code: duplicateKey }),
    step('bad value', () => items.findOne({ $nonsense: 1 }), { code: badValue }),
    step('unknown command', () => client.db('shop').command({ [nonsense]: 'items' }), { code: unknownCommand }),
    step('ping', () => client.db('shop').command({ ping: 1 })),
  ];
  return { steps, close: () => client.close() };
});
