// What clients of databases have in common: what package db is in Go. See there for what a report says.
import { createInterface } from 'node:readline';

// Tally counts operations.
export class Tally {
  total = 0;
  all = new Map();

  add(...operations) {
    for (const { count = 1, ...op } of operations) {
      const key = JSON.stringify(op, Object.keys(op).sort());
      this.all.set(key, (this.all.get(key) ?? 0) + count);
      this.total += count;
    }
  }

  // take returns what has been counted, and counts anew.
  take() {
    const out = [...this.all].map(([key, count]) => ({ ...JSON.parse(key), count }));
    this.all.clear();
    this.total = 0;
    return out;
  }
}

// step is something that a client does, with the code of the error in which it ends, if any, and what it makes on the wire.
export function step(name, run, { code = '', made = [] } = {}) {
  return { name, run, code, made };
}

async function round(steps, tally) {
  for (const s of steps) {
    let code = '';
    try {
      await s.run();
    } catch (err) {
      code = String(err.errno ?? err.code ?? err);
    }
    if (code !== s.code) throw new Error(`${s.name}: ended with the code "${code}", want "${s.code}"`);
    tally.add(...s.made);
  }
}

// load opens connections by open(tally, number), which returns {steps, close}; it does every step once on each, prints "ready", waits
// for a line, makes count operations, closes the connections and prints the report.
export async function load(connections, count, open) {
  const tally = new Tally();
  const sessions = [];
  for (let i = 1; i <= connections; i++) {
    const s = await open(tally, i);
    await round(s.steps, tally);
    sessions.push(s);
  }
  const before = tally.take();
  console.log('ready');
  const input = createInterface({ input: process.stdin });
  await new Promise((resolve) => input.once('line', resolve));
  input.close();
  await Promise.all(sessions.map(async (s) => {
    while (tally.total < count) await round(s.steps, tally);
    await s.close();
  }));
  console.log(JSON.stringify({ before, operations: tally.take() }));
}
