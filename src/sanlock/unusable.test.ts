import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SM_CMD } from '../wire/sanlock/socket.ts';
import { acquireBody, Harness, lockspace, resource } from './testing/harness.ts';

// What the log says of a lockspace in which nothing can be acquired: the client hears −28 alone.

const T = 10;

/** The end of the line about a refused acquire at `atS`. */
function refusal(harness: Harness, atS: number): string {
  harness.at(atS * 1000);
  harness.logged = [];
  const client = harness.connect(501);
  harness.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(1)]), { data: 1 });
  harness.close(client);
  const lines = harness.logged.filter((line) => line.startsWith('warn lease.refused '));
  assert.equal(lines.length, 1);
  return / result=-28 (.*)$/.exec(lines[0] ?? '')?.[1] ?? '';
}

function add(harness: Harness): void {
  harness.ask(harness.connect(900, false), SM_CMD.ADD_LOCKSPACE, lockspace('LS'), { data: T });
}

function joined(): Harness {
  const harness = new Harness();
  harness.join(T);
  return harness;
}

test('it was never joined, is being joined, and could not be', () => {
  const harness = new Harness();
  harness.event({ kind: 'started', lines: [], damaged: 0 });
  assert.match(refusal(harness, 130), /^reason=the lockspace was not joined since .* forS=30$/);
  add(harness);
  assert.equal(refusal(harness, 150), 'reason=the lockspace is being joined forS=20');
  harness.leaseSends(1, {
    kind: 'joinFailed',
    error: { code: 'HOSTID_BUSY', during: 'wait', facts: {} },
  });
  harness.event({ kind: 'leaseEnded', lease: 1 });
  const text = 'reason=the lockspace could not be joined joinResult=-262 forS=50';
  assert.equal(refusal(harness, 180), text);
});

test('it was lost, and is joined again; the first loss counts while that fails', () => {
  const harness = joined();
  const error = { code: 'AIO_TIMEOUT', during: 'renewal read', facts: {} } as const;
  harness.leaseSends(1, { kind: 'renewalFailed', error, overwritten: false });
  harness.at(180_000);
  harness.tick();
  const lost = 'reason=the lockspace was lost: it was not renewed in time renewalResult=-202';
  assert.equal(refusal(harness, 181), `${lost} forS=1`);
  harness.leaseSends(1, { kind: 'left', released: false });
  harness.event({ kind: 'leaseEnded', lease: 1 });
  assert.equal(refusal(harness, 190), `${lost} forS=10 joinsAgain=true`);
  harness.tick();
  assert.equal(refusal(harness, 195), `${lost} forS=15 joinsAgain=true`, 'while it tries');
  harness.leaseSends(2, { kind: 'joinFailed', error });
  harness.event({ kind: 'leaseEnded', lease: 2 });
  assert.equal(refusal(harness, 200), `${lost} forS=20 joinsAgain=true`);
});

test('it was removed', () => {
  const harness = joined();
  harness.ask(harness.connect(900, false), SM_CMD.REM_LOCKSPACE, lockspace('LS'));
  const removed = 'reason=the lockspace was removed by a client';
  assert.equal(refusal(harness, 105), `${removed} forS=5`);
  harness.tick();
  harness.leaseSends(1, { kind: 'left', released: true });
  harness.event({ kind: 'leaseEnded', lease: 1 });
  assert.equal(refusal(harness, 120), `${removed} forS=20`);
});

test('its host lease was overwritten, and its lease process has ended', () => {
  const harness = joined();
  const error = { code: 'RENEW_DIFF', during: 'renewal', facts: {} } as const;
  harness.leaseSends(1, { kind: 'renewalFailed', error, overwritten: true });
  harness.tick();
  assert.match(refusal(harness, 103), /^reason=the lockspace was lost: its host lease is damaged/);
  const other = joined();
  other.connect(600); // nothing is held: it would be left at once
  other.event({ kind: 'leaseLost', lease: 1 });
  assert.match(refusal(other, 110), /its lease process has ended forS=10$/);
});

test('a lease that was granted while the lockspace was being lost is explained too', () => {
  const harness = joined();
  const client = harness.connect(501);
  harness.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(1)]), { data: 1 });
  harness.at(180_000);
  harness.granted(1, 1);
  assert.match(
    harness.logged.join('\n'),
    /lease.refused .* result=-28 reason=the lockspace was lo/,
  );
});

test('names of lockspaces that ended are kept, and no more than 64', () => {
  const harness = new Harness();
  for (let n = 1; n <= 70; n++) {
    const asked = lockspace(`LS${n}`, { path: `/dev/lun${n}` });
    harness.ask(harness.connect(900, false), SM_CMD.ADD_LOCKSPACE, asked, { data: T });
    const error = { code: 'AIO_TIMEOUT', during: 'join', facts: {} } as const;
    harness.leaseSends(n, { kind: 'joinFailed', error });
    harness.event({ kind: 'leaseEnded', lease: n });
  }
  assert.equal(harness.front.gone.size, 64);
  assert.ok(harness.front.gone.has('LS70') && !harness.front.gone.has('LS6'));
});
