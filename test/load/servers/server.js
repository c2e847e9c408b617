// An HTTP server for tests on Node's http. Its queries are httpserve's: status, delay, bytes, chunked, echo.
'use strict';
const http = require('http');

function answer(query, body, response) {
  const number = (name, otherwise) => (query.has(name) ? Number(query.get(name)) : otherwise);
  const status = number('status', 200);
  if (status === 204 || status === 304) {
    response.writeHead(status).end();
  } else if (query.has('chunked')) {
    response.writeHead(status);
    for (let n = number('chunked', 0); n > 0; n -= 16384) response.write('.'.repeat(Math.min(n, 16384)));
    response.end();
  } else {
    if (!query.has('echo')) body = Buffer.alloc(number('bytes', 2), '.');
    response.writeHead(status, { 'Content-Length': body.length }).end(body);
  }
}

const server = http.createServer((request, response) => {
  const query = new URL(request.url, 'http://test').searchParams;
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const delay = Number(query.get('delay') || 0);
    const reply = () => answer(query, Buffer.concat(pieces), response);
    if (delay > 0) setTimeout(reply, delay);
    else reply();
  });
});
server.keepAliveTimeout = 3600000; // a test may hold a connection for long before its first request
const at = process.argv[2].lastIndexOf(':');
server.listen(Number(process.argv[2].slice(at + 1)), process.argv[2].slice(0, at).replace(/[[\]]/g, ''), () => {
  const { address, port } = server.address();
  console.log(`listening ${address}:${port}`);
});
