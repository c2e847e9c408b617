// Looks names up as Go's command resolve does: node resolve.mjs KIND NAME…. "lookup" is dns.lookup, which is getaddrinfo in a
// thread of libuv; any other kind is the method of dns.promises of that name, as "resolve4", which is c-ares.
import { promises as dns } from 'node:dns';

const none = ['ENOTFOUND', 'ENODATA'];
const args = process.argv.slice(2);
for (let i = 0; i + 1 < args.length; i += 2) {
  const [kind, name] = [args[i], args[i + 1]];
  try {
    await (kind === 'lookup' ? dns.lookup(name, { all: true }) : dns[kind](name));
    console.log('ok');
  } catch (err) {
    console.log(none.includes(err.code) ? 'none' : err.code === 'ETIMEOUT' ? 'timeout' : `error ${err.code}`);
  }
}
