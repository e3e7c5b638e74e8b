import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { dblock } from '../format/dblock.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { LeaseCommand, LeaseCommandResult } from '../lease-process/messages.ts';
import { LeaseHost } from '../sim/cluster/lease-host.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { PROMPT, SimStorage } from '../sim/kernel/disk.ts';

const name = { lockspaceName: 'LS', resourceName: 'R' };
const area = { path: '/lun', offset: MIB };

function acquire(shared: boolean): LeaseCommand {
  const how = { ownerNowait: true, wantedLver: null, newNumHosts: null, readLvb: false };
  return { op: 'acquire', area, name, shared, ...how };
}

function holdOf(result: LeaseCommandResult) {
  assert.ok(result.ok && result.op === 'acquire');
  return result.hold;
}

// A refused conversion leaves a block that the hold does not know of. When the release after it
// fails too, the next hold's release must write the next hold's block.
test('the block of a hold that could not be released is not written over a later one', () => {
  const clock = new SimClock();
  const storage = new SimStorage();
  const lun = storage.add('/lun', 2 * MIB);
  let failing = false;
  const plan: typeof PROMPT = (io) =>
    failing ? { landsInMs: 0, answersInMs: 1, errno: 5 } : PROMPT(io);
  const [one, two] = [
    new LeaseHost({ name: 'one', storage, clock, plan }),
    new LeaseHost({ name: 'two', storage, clock }),
  ];
  const sizes = { sizes: null, writeTimeoutMs: 60_000 };
  const place = { path: '/lun', offset: 0 };
  two.ask({ op: 'writeLockspace', area: place, name: 'LS', ioTimeoutS: 2, ...sizes });
  two.ask({ op: 'writeResource', area, name, numHosts: 8, clear: false, ...sizes });
  for (const [index, host] of [one, two].entries()) {
    host.join({ hostId: index + 1, path: '/lun', lockspaceName: 'LS', ioTimeoutS: 2 });
  }
  clock.runUntil(clock.nowMs() + 10_000);

  const first = holdOf(one.ask(acquire(true)));
  const other = holdOf(two.ask(acquire(true)));
  const converting = { op: 'convert', toShared: false, ownerNowait: true, lvb: null } as const;
  assert.equal(one.ask({ ...converting, hold: first.number }).ok, false);
  failing = true;
  assert.equal(one.ask({ op: 'release', hold: first.number, lvb: null, rename: null }).ok, false);
  failing = false;
  assert.ok(two.ask({ op: 'release', hold: other.number, lvb: null, rename: null }).ok);
  assert.equal(one.ask(acquire(true)).ok, false, 'still being released');
  clock.runUntil(clock.nowMs() + REFUSED_LANDS_MS + 5000);

  const again = holdOf(one.ask(acquire(true)));
  assert.ok(one.ask({ op: 'release', hold: again.number, lvb: null, rename: null }).ok);
  const block = decode(dblock, lun, MIB + 2 * 512);
  assert.equal(block.lver, again.lver);
});
