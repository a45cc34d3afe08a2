// Runs one task of the driver for a contender in Node: creates the schema, appends, or follows. Prints the result as JSON.

import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

// The same payload as in benches/log.rs: about 400 bytes, the size of a recorded call.
export const call = (n) => ({
  kind: 'llm',
  agent_id: `00000000-0000-0000-0000-${n.toString(16).padStart(12, '0')}`,
  model: 'gpt-4o',
  usage: { input: n % 10000, output: 59, cache_read: 0 },
  note: 'x'.repeat(250),
});

export const metadata = () => ({ actor: 'bench', command_id: randomUUID() });

// Each line of standard input is a signal to continue.
const signals = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const load = async (append, { in_flight, warm_up_ms, measured_ms }) => {
  console.log('ready');
  await signals.next();
  const warm = performance.now() + warm_up_ms;
  const deadline = warm + measured_ms;
  let [n, acknowledged, measured] = [0, 0, 0];
  const worker = async () => {
    while (performance.now() < deadline) {
      await append(n++);
      acknowledged += 1;
      if (performance.now() >= warm) measured += 1;
    }
  };
  await Promise.all(Array.from({ length: in_flight }, worker));
  return { acknowledged, rate: (measured * 1000) / (performance.now() - warm), retries: 0 };
};

// Reads pages after a checkpoint until stopped and nothing new arrives. Counts distinct positions.
const follow = async (read) => {
  const seen = new Set();
  let [checkpoint, emptyReads, stopped] = [0n, 0, false];
  console.log('ready');
  signals.next().then(() => (stopped = true));
  while (emptyReads < 40) {
    const last = stopped;
    const [positions, next] = await read(checkpoint);
    checkpoint = next;
    emptyReads = positions.length === 0 && last ? emptyReads + 1 : 0;
    for (const position of positions) seen.add(position);
    await sleep(last ? 50 : 1);
  }
  return { seen: seen.size };
};

export const contend = async (open) => {
  const task = JSON.parse(process.argv[2]);
  const store = await open(process.env.PEERS_DATABASE_URL, task.connections);
  let answer = {};
  if (task.do === 'create') await store.create();
  if (task.do === 'load') answer = await load(store.append, task);
  if (task.do === 'follow') answer = await follow(store.read);
  await store.close();
  console.log(JSON.stringify(answer));
  process.stdin.destroy();
};
