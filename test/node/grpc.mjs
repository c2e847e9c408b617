// A gRPC server, and a client of one, on @grpc/grpc-js: what Go's package rpc is, in Node. See there for what a call's first
// message says.
//   node grpc.mjs serve HOST:PORT                                   prints "listening HOST:PORT"
//   node grpc.mjs load HOST:PORT STREAMS COUNT WARM CALL...         prints "ready", waits for a line, calls, prints a report
// WARM is how many calls, taken from CALL in turn, are made before the start.
import grpc from '@grpc/grpc-js';
import { createInterface } from 'node:readline';

// methods are those of package rpc: which ends stream.
const methods = {
  'test.Shop/Get': [false, false], 'test.Shop/Put': [false, false], 'test.Shop/List': [false, true],
  'test.Shop/Upload': [true, false], 'test.Shop/Chat': [true, true],
  'test.Orders/Place': [false, false], 'test.Orders/Cancel': [false, false], 'test.Orders/Track': [false, true],
};

// A message is a google.protobuf.StringValue: field 1, its length, its bytes.
function serialize(text) {
  const bytes = Buffer.from(text);
  const head = [0x0a];
  let n = bytes.length;
  for (; n > 0x7f; n >>>= 7) head.push((n & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, n]), bytes]);
}

function deserialize(message) {
  let at = 1;
  while (message[at] & 0x80) at++;
  return message.subarray(at + 1).toString();
}

function definition(path) {
  const [requestStream, responseStream] = methods[path] ?? [false, false];
  return {
    path: `/${path}`, requestStream, responseStream, requestSerialize: serialize, requestDeserialize: deserialize,
    responseSerialize: serialize, responseDeserialize: deserialize,
  };
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function wish(text) {
  const q = new URLSearchParams(text);
  const number = (name) => Number(q.get(name));
  return { code: number('code'), messages: number('messages'), delay: number('delay'), answer: '.'.repeat(number('bytes')) };
}

function asked(code) {
  return { code, details: 'as you wish: 100 % \u2713' };
}

async function unary(call, callback) {
  const w = wish(call.request);
  await sleep(w.delay);
  if (w.code) callback(asked(w.code));
  else callback(null, w.answer);
}

async function serverStream(call) {
  const w = wish(call.request);
  await sleep(w.delay);
  for (let i = 0; i < w.messages; i++) call.write(w.answer);
  if (w.code) call.emit('error', asked(w.code));
  else call.end();
}

// incoming reads what a client streams: each message, once the first message's delay is over, goes to answer, and the end to end,
// both with what the first one wishes.
function incoming(call, answer, end) {
  let w;
  let ready = Promise.resolve();
  call.on('data', (message) => {
    if (!w) {
      w = wish(message);
      ready = sleep(w.delay);
    }
    ready.then(() => answer(w));
  });
  call.on('error', () => {}); // the client has gone, or it is the status
  call.on('end', () => ready.then(() => w && end(w)));
}

function clientStream(call, callback) {
  incoming(call, () => {}, (w) => (w.code ? callback(asked(w.code)) : callback(null, w.answer)));
}

function bidi(call) {
  incoming(call, (w) => call.write(w.answer), (w) => (w.code ? call.emit('error', asked(w.code)) : call.end()));
}

function serve(address) {
  const server = new grpc.Server();
  const services = {};
  for (const [path, [requests, responses]] of Object.entries(methods)) {
    const [service, name] = path.split('/');
    services[service] ??= [{}, {}];
    services[service][0][name] = definition(path);
    services[service][1][name] = requests ? (responses ? bidi : clientStream) : responses ? serverStream : unary;
  }
  for (const [d, implementation] of Object.values(services)) server.addService(d, implementation);
  server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (err, port) => {
    if (err) throw err;
    console.log(`listening ${address.slice(0, address.lastIndexOf(':'))}:${port}`);
  });
}

// parse reads a call as Go's ParseCall does; times are in milliseconds, as "20ms".
function parse(text) {
  const [path, ...options] = text.split(/\s+/);
  const call = { path, code: 0, messages: 1, bytes: 10, delay: 0, deadline: 0, cancel: 0 };
  for (const option of options) {
    const [name, value] = option.split('=');
    if (!(name in call)) throw new Error(`call ${text}: option ${name}`);
    call[name] = Number(value.replace(/ms$/, ''));
  }
  return call;
}

// invoke makes a call and returns its status code.
function invoke(client, c) {
  const { path, requestStream, responseStream } = definition(c.path);
  const first = `code=${c.code}&messages=${c.messages}&bytes=${c.bytes}&delay=${c.delay}`;
  const text = `${first}&fill=`.padEnd(c.bytes, 'f');
  const options = c.deadline ? { deadline: Date.now() + c.deadline } : {};
  return new Promise((resolve) => {
    const metadata = new grpc.Metadata();
    let call;
    const unread = () => {}; // what a unary answer says is in its status
    if (!requestStream && !responseStream) call = client.makeUnaryRequest(path, serialize, deserialize, text, metadata, options, unread);
    else if (!requestStream) call = client.makeServerStreamRequest(path, serialize, deserialize, text, metadata, options);
    else if (!responseStream) call = client.makeClientStreamRequest(path, serialize, deserialize, metadata, options, unread);
    else call = client.makeBidiStreamRequest(path, serialize, deserialize, metadata, options);
    call.on('status', (status) => resolve(status.code));
    if (c.cancel) setTimeout(() => call.cancel(), c.cancel);
    if (responseStream) {
      let answers = 0;
      call.on('error', unread);
      call.on('data', () => {
        if (!requestStream) return;
        if (++answers < c.messages) call.write(text);
        else call.end();
      });
    }
    if (requestStream && responseStream) call.write(text);
    else if (requestStream) {
      for (let i = 0; i < c.messages; i++) call.write(text);
      call.end();
    }
  });
}

async function load(address, streams, count, warm, calls) {
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const wanted = (c) => (c.deadline ? 4 : c.cancel ? 1 : c.path in methods ? c.code : 12);
  await new Promise((resolve, reject) => client.waitForReady(Date.now() + 30000, (err) => (err ? reject(err) : resolve())));
  for (let i = 0; i < warm; i++) await invoke(client, calls[i % calls.length]);
  console.log('ready');
  const input = createInterface({ input: process.stdin });
  await new Promise((resolve) => input.once('line', resolve));
  input.close();
  const counts = {};
  const wrong = [];
  let next = 0;
  await Promise.all(Array.from({ length: streams }, async () => {
    while (next < count) {
      const c = calls[next++ % calls.length];
      const code = await invoke(client, c);
      const key = `${c.path} ${grpc.status[code]}`;
      counts[key] = (counts[key] ?? 0) + 1;
      if (code !== wanted(c)) wrong.push(`${c.path}: code ${grpc.status[code]}, want ${grpc.status[wanted(c)]}`);
    }
  }));
  client.close();
  const operations = Object.entries(counts).sort().map(([key, n]) => ({ method: key.split(' ')[0], code: key.split(' ')[1], count: n }));
  console.log(JSON.stringify({ planned: count, warm, operations, wrong }));
}

const [mode, address, ...rest] = process.argv.slice(2);
if (mode === 'serve') serve(address);
else await load(address, Number(rest[0]), Number(rest[1]), Number(rest[2]), rest.slice(3).map(parse));
