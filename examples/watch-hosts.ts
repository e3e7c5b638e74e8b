/**
 * Shows the hosts of every lockspace joined here, and how they fare, until stopped.
 *
 *   node scripts/run-script.mjs examples/watch-hosts.ts [times] [seconds between]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectSanlock, getHosts, getLockspaces, HOST_STATES, nameToText } from 'holdfast/client';

const times = Number(process.argv[2] ?? Number.POSITIVE_INFINITY);
const everyMs = Number(process.argv[3] ?? 5) * 1000;
const client = connectSanlock();
const stateNames = new Map<number, string>(
  Object.entries(HOST_STATES).map(([name, code]) => [code, name]),
);

for (let round = 0; round < times; round++) {
  if (round > 0) await sleep(everyMs);
  const lockspaces = await client.call(getLockspaces());
  if (!lockspaces.ok) throw new Error(lockspaces.error.message);
  for (const lockspace of lockspaces.value) {
    const hosts = await client.call(getHosts(lockspace.name));
    const texts = hosts.ok
      ? hosts.value.map((h) => `${h.hostId} ${stateNames.get(h.flags) ?? h.flags}`)
      : [hosts.error.message]; // EAGAIN: joined a moment ago, no host was checked yet
    console.log(`${nameToText(lockspace.name)}: ${texts.join(', ')}`);
  }
}
