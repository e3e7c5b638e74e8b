import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import { rewrite } from './journal-writer.ts';
import { Harness } from './testing/harness.ts';

test('a membership goes on in the name with which it began, over daemons that have others', () => {
  const journal = new MemoryJournal();
  new Harness({ journal }).join(10);
  for (const ourHostName of ['second', 'third']) {
    const { front, ...next } = started(journal, ourHostName);
    assert.equal(front.survivors[0]?.space.hostName, 'host1', ourHostName);
    next.resume();
    assert.equal(front.lockspaces[0]?.phase.kind, 'live', ourHostName);
    assert.ok(rewrite(front));
  }
});

/** A daemon that finds all processes of the one before ended. */
function started(journal: MemoryJournal, ourHostName: string) {
  const harness = new Harness({ journal, ourHostName });
  const { front } = harness;
  harness.event({ kind: 'started', ...journal.load() });
  for (const search of [...front.whenFound.keys()]) {
    harness.event({ kind: 'processFound', search, process: null });
  }
  for (const search of [...front.whenEndFound.keys()]) {
    harness.event({ kind: 'leaseEndFound', search, end: { refusedUntilMs: null } });
  }
  const resume = (): void => {
    const { nowMs, bootMs: claimedBootMs } = front;
    const timestampS = nowMs / 1000;
    const sizes = { sectorSize: 512, areaBytes: 2 ** 20, maxHosts: 2000 };
    const claim = { generation: 1n, timestampS, claimedBootMs };
    harness.leaseSends(1, { kind: 'joined', ...claim, ...sizes });
    harness.renewed(1, timestampS);
  };
  return { front, resume };
}
