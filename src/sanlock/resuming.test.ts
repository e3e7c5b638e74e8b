import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import { RES_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import { rewrite } from './journal-writer.ts';
import { isResumable } from './survivors.ts';
import { survivorsRead } from './testing/claims.ts';
import { acquireBody, Harness, lockspace, resource } from './testing/harness.ts';

test('a membership goes on in the name with which it began, over daemons that have others', () => {
  const journal = new MemoryJournal();
  new Harness({ journal }).join(10);
  for (const ourHostName of ['second', 'third']) {
    const { front, ...next } = started(journal, ourHostName);
    assert.equal(front.survivors[0]?.space.hostName, 'host1', ourHostName);
    front.nowMs = front.bootMs += 5000;
    next.resume();
    // Of duties at wdmd it takes over only those of its own time.
    assert.equal(front.lockspaces[0]?.joinedS, 100, ourHostName);
    assert.equal(front.lockspaces[0]?.phase.kind, 'live', ourHostName);
    assert.ok(rewrite(front));
  }
});

test('a refused write lands a minute after the end of its process at the latest, whatever it said', () => {
  const journal = new MemoryJournal();
  new Harness({ journal }).join(10);
  for (const [refusedUntilMs, expectedMs] of [
    [null, 0],
    [150_000, 150_000],
    [1e300, 160_000],
    [-5, 0],
  ] as const) {
    const { front } = started(journal, 'host1', refusedUntilMs);
    assert.equal(front.survivors[0]?.refusedUntilMs, expectedMs);
  }
});

test('an exclusive lease that two processes are to have: the membership is only kept', () => {
  const journal = new MemoryJournal();
  const first = new Harness({ journal });
  first.join(10);
  for (const n of [1, 2]) {
    const client = first.connect(500 + n);
    first.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(n)]), { data: 1 });
    first.granted(1, n);
  }
  const lease = journal.load().lines.find((line) => line.includes('"kind":"lease"')) ?? '';
  journal.append(lease.replace(/"holders":.*/, '"holders":["2","3"]}'));
  const { front, resume } = started(journal, 'host1', null, [501, 502]);
  assert.equal(front.clients.size, 2);
  resume();
  assert.equal(front.survivors[0]?.phase.kind, 'keeping');
});

test('a journal that is written anew while a lockspace is handed over has all its leases', () => {
  const journal = new MemoryJournal();
  const first = new Harness({ journal });
  first.join(10);
  const client = first.connect(501);
  first.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(1)]), { data: 1 });
  first.granted(1, 1);
  // In the area of the lease an acquire was under way, too.
  const wants = journal.load().lines.find((line) => line.includes('"kind":"wants"')) ?? '';
  journal.append(wants.replace('"lease":', '"lease":9'));
  const { resume } = started(journal, 'host1', null, [501]);
  // There is no room for the line that it is over.
  const append = journal.append.bind(journal);
  journal.append = (line) => !line.includes('"kind":"given"') && append(line);
  resume();
  const [read] = survivorsRead(journal.load().lines).values();
  assert.deepEqual([read?.inherited.leases.size, read?.inherited.wants.size], [1, 0]);
});

test('two memberships of one place or name: only the later one is renewed, and nothing is granted', () => {
  for (const other of [{}, { name: 'LT' }, { path: '/dev/other' }, { hostId: 2 }]) {
    const journal = new MemoryJournal();
    const first = new Harness({ journal });
    first.join(10);
    const client = first.connect(501);
    const body = acquireBody([resource(1, { flags: RES_FLAGS.PERSISTENT })]);
    first.ask(client, SM_CMD.ACQUIRE, body, { data: 1 });
    first.granted(1, 1);
    const again = journal.load().lines.map((line) => JSON.parse(line) as object);
    for (const line of again) {
      const of =
        'name' in line ? other : 'pid' in line && line.pid === 50_001 ? { pid: 60_000 } : {};
      journal.append(JSON.stringify({ ...line, id: 2, ...of }));
    }
    const { harness, front, resume } = started(journal, 'host1', null, [501, 50_001]);
    assert.equal(front.leaseProcesses.size, 0, 'that of the other one may write');
    const process = front.survivors[0]?.holders.get(LEASE_HOLDER)?.client.process;
    assert.ok(process);
    harness.event({ kind: 'processEnded', process });
    harness.event({ kind: 'leaseEndFound', search: harness.searches[0]?.search ?? 0, end: null });
    assert.deepEqual([...front.leaseProcesses.keys()], [1], JSON.stringify(other));
    resume();
    const [earlier, later] = front.survivors;
    assert.deepEqual([earlier?.phase.kind, later?.phase.kind], ['over', 'keeping']);
    assert.deepEqual(later?.space, { ...later?.space, ...other });
    assert.ok(harness.logged.some((line) => line.includes('holders.unknown')));
  }
});

test('an orphan that the disk does not show is given up, and an administrator hears of it', () => {
  const journal = new MemoryJournal();
  const first = new Harness({ journal });
  first.join(10);
  const client = first.connect(501);
  const body = acquireBody([resource(1, { flags: RES_FLAGS.PERSISTENT })]);
  first.ask(client, SM_CMD.ACQUIRE, body, { data: 1 });
  first.granted(1, 1);
  first.close(client);
  const { harness, front, resume } = started(journal, 'host1');
  resume();
  harness.ran(1, { op: 'recover', hold: null, lvb: null });
  assert.deepEqual(front.resources, []);
  assert.deepEqual(
    harness.logged.filter((line) => line.includes('lease.notHeld')),
    ['error lease.notHeld lockspace=LS resource=R1 path=/dev/lun offset=1048576 pids='],
  );
});

test('what the journal says of a lease outlives daemons that find it not held, or ask the disk', () => {
  for (const answer of [
    { op: 'recover', hold: null, lvb: null } as const,
    'AIO_TIMEOUT' as const,
  ]) {
    const journal = new MemoryJournal();
    const first = new Harness({ journal });
    first.join(10);
    const client = first.connect(501);
    first.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(1)]), { data: 1 });
    first.granted(1, 1, false, 7n);
    first.ask(client, SM_CMD.CONVERT, resource(1, { flags: RES_FLAGS.SHARED }), { data: 1 });
    for (let n = 0; n < 2; n++) {
      const { harness, front, resume } = started(journal, 'host1', null, [501]);
      resume();
      const command = harness.runs[0]?.command;
      assert.ok(command?.op === 'recover');
      assert.deepEqual(command.known, { mode: 'ex', lver: 7n, begun: 'toShared' }, `daemon ${n}`);
      harness.ran(1, answer);
      assert.ok(rewrite(front));
    }
  }
});

test('a client goes by its name under the next daemons, also one that holds nothing', () => {
  const journal = new MemoryJournal();
  const first = new Harness({ journal });
  first.join(10);
  for (const [n, name] of ['web', 'db', null].entries()) {
    const client = first.connect(501 + n, false);
    first.ask(client, SM_CMD.REGISTER, new Uint8Array(0));
    if (name === null) continue;
    first.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(n)], name), { data: 1 });
    first.granted(1, n + 1);
    if (name === 'web') continue;
    first.ask(client, SM_CMD.RELEASE, resource(n, { bare: true }), { data: 1 });
    first.ran(1, { op: 'release' });
  }
  for (let daemons = 0; daemons < 2; daemons++) {
    const { front, resume } = started(journal, 'host1', null, [501, 502, 503]);
    resume();
    const shown = [...front.clients.values()].map(({ pid, ownerName }) => `${pid} ${ownerName}`);
    assert.deepEqual(shown.sort(), ['501 web', '502 db', '503 503']);
    assert.ok(rewrite(front));
  }
});

test('no journal has a membership without its lease process, wherever the end of both is cut', () => {
  const cuts: (readonly string[])[] = [];
  const journal = new MemoryJournal();
  const watched = {
    append: (line: string) => journal.append(line) && cuts.push(journal.load().lines) > 0,
    replace: (lines: readonly string[]) => journal.replace(lines) && cuts.push(lines) > 0,
  };
  const harness = new Harness({ journal: watched });
  harness.join(10);
  harness.ask(harness.connect(900), SM_CMD.REM_LOCKSPACE, lockspace('LS'));
  harness.at(101_000);
  harness.tick();
  harness.at(200_000);
  harness.tick();
  assert.equal(harness.front.lockspaces[0]?.phase.kind, 'ending');
  cuts.length = 0;
  harness.event({ kind: 'leaseEnded', lease: 1 });
  assert.deepEqual(harness.front.lockspaces, []);
  assert.ok(cuts.length > 0);
  for (const cut of cuts) {
    for (const survivor of survivorsRead(cut).values()) {
      assert.ok(!isResumable(survivor) || survivor.holders.has(LEASE_HOLDER), cut.join('\n'));
    }
  }
});

test('an add that meets the end of a resumption is answered by the join that follows', () => {
  const journal = new MemoryJournal();
  new Harness({ journal }).join(10);
  const { harness, front } = started(journal, 'host1');
  const asker = harness.connect(900, false);
  const tickAt = (nowMs: number): void => {
    harness.at(nowMs);
    harness.tick();
  };
  tickAt(170_000);
  harness.ask(asker, SM_CMD.ADD_LOCKSPACE, lockspace('LS'), { data: 10 });
  tickAt(180_000); // 8·t after its renewal: too late, and its lease process is killed
  assert.equal(front.survivors[0]?.phase.kind, 'over');
  assert.ok(harness.lines.includes('lease1 killed'));
  const other = harness.connect(901, false);
  harness.lines = [];
  harness.ask(other, SM_CMD.REM_LOCKSPACE, lockspace('LS'));
  const { ENOENT } = ERRNO;
  assert.deepEqual(harness.lines, [
    `c${other.connection} answer ${SM_CMD.REM_LOCKSPACE}: -${ENOENT}`,
  ]);
  harness.lines = [];
  tickAt(181_000);
  harness.event({ kind: 'leaseEnded', lease: 1 });
  harness.lines = harness.lines.filter((line) => !line.startsWith('lease1'));
  assert.deepEqual(harness.lines, ['lease2 join']);
  harness.joined(2, 2n);
  assert.ok(harness.lines.includes(`c${asker.connection} answer ${SM_CMD.ADD_LOCKSPACE}: 0`));
});

/** A daemon that finds all other processes of the one before ended, at second 100. */
function started(
  journal: MemoryJournal,
  ourHostName: string,
  refusedUntilMs: number | null = null,
  living: readonly number[] = [],
) {
  const harness = new Harness({ journal, ourHostName });
  const { front } = harness;
  harness.event({ kind: 'started', ...journal.load() });
  for (const { search, pid } of harness.searches.splice(0)) {
    const process = living.includes(pid) ? harness.process(pid) : null;
    harness.event({ kind: 'processFound', search, process });
  }
  for (const { search } of harness.searches.splice(0)) {
    harness.event({ kind: 'leaseEndFound', search, end: { refusedUntilMs } });
  }
  const resume = (): void => {
    harness.joined(1, 1n);
    harness.renewed(1, front.nowMs / 1000);
  };
  return { harness, front, resume };
}
