import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeaseErrorCode } from '../lease/lease-error.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import { ADD_FLAGS, CONFIG_COMMANDS, RES_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import { acquireBody, Harness, hold, lockspace, resource } from './testing/harness.ts';

const T_S = 10;
const [EEXIST, EAGAIN, ENOENT, EINPROGRESS] = [-17, -11, -2, -115];
const NOTHING = new Uint8Array(0);

/** A host whose lockspace is joined, and then lost. */
class Scenario {
  harness: Harness;
  readonly journal = new MemoryJournal();

  constructor() {
    this.harness = new Harness({ journal: this.journal });
    this.harness.join(T_S);
  }

  get #lease(): number {
    return this.harness.front.lockspaces[0]?.lease ?? 1;
  }

  /** Its storage is silent until its time is over, and its lease process ends. */
  lose(): void {
    this.wait(8 * T_S);
    this.leave();
  }

  leave(): void {
    const lease = this.#lease;
    this.wait(1);
    this.harness.leaseSends(lease, { kind: 'left', released: false });
    this.harness.event({ kind: 'leaseEnded', lease });
  }

  wait(seconds: number): void {
    for (let n = 0; n < seconds; n++) {
      this.harness.at(this.harness.front.nowMs + 1000);
      this.harness.tick();
    }
  }

  joined(generation = 2n): void {
    this.harness.joined(this.#lease, generation);
  }

  joinFails(code: LeaseErrorCode): void {
    const lease = this.#lease;
    const error = { code, during: 'test', facts: {} };
    this.harness.leaseSends(lease, { kind: 'joinFailed', error });
    this.harness.event({ kind: 'leaseEnded', lease });
  }

  /** null: not answered yet. */
  ask(cmd: number, body = lockspace('LS'), cmdFlags = 0): number | null {
    const client = this.harness.connect(900, false);
    this.harness.lines = [];
    this.harness.ask(client, cmd, body, { data: T_S, cmdFlags });
    return this.answerTo(client.connection, cmd);
  }

  answerTo(connection: number, cmd: number): number | null {
    const text = `c${connection} answer ${cmd}: `;
    const line = this.harness.lines.find((one) => one.startsWith(text));
    return line === undefined ? null : Number(line.slice(text.length));
  }

  /** 'adding', 'live' … */
  get phase(): string {
    return this.harness.front.lockspaces[0]?.phase.kind ?? 'none';
  }

  /** The daemon that is started again resumes the membership. */
  restart(living: readonly number[] = []): void {
    this.harness = this.restarted(this.journal, living);
    for (const { search } of this.harness.searches.splice(0)) {
      this.harness.event({ kind: 'leaseEndFound', search, end: { refusedUntilMs: null } });
    }
    const generation = BigInt(this.harness.front.survivors[0]?.generation ?? 0);
    this.joined(generation);
    this.harness.renewed(1, this.harness.front.nowMs / 1000);
    assert.equal(this.phase, 'live');
  }

  /** A daemon that is started again, with what this one wrote; other processes have ended. */
  restarted(journal = new MemoryJournal(), living: readonly number[] = []): Harness {
    const next = new Harness({ journal });
    next.at(this.harness.front.nowMs);
    next.event({ kind: 'started', ...this.journal.load() });
    for (const { search, pid } of next.searches.splice(0)) {
      const process = living.includes(pid) ? next.process(pid) : null;
      next.event({ kind: 'processFound', search, process });
    }
    return next;
  }
}

test('a lost lockspace is joined again, and the first client that adds it is answered 0', () => {
  const scenario = new Scenario();
  scenario.lose();
  assert.equal(scenario.phase, 'none');
  scenario.wait(4);
  assert.equal(scenario.phase, 'none');
  scenario.wait(1);
  assert.equal(scenario.phase, 'joining');
  scenario.joined();
  assert.equal(scenario.phase, 'live');
  assert.equal(scenario.ask(SM_CMD.INQ_LOCKSPACE), 0);
  assert.equal(scenario.ask(SM_CMD.ADD_LOCKSPACE), 0);
  assert.equal(scenario.ask(SM_CMD.ADD_LOCKSPACE), EEXIST);
  assert.equal(scenario.harness.front.lost.length, 0);
});

test('orphans keep it as before: the client that wished so does not join it again', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  const data = CONFIG_COMMANDS.USED_BY_ORPHANS;
  harness.ask(harness.connect(900, false), SM_CMD.SET_CONFIG, lockspace('LS'), { data });
  scenario.lose();
  scenario.wait(5);
  scenario.joined();
  const client = harness.connect(501);
  const body = acquireBody([resource(1, { flags: RES_FLAGS.PERSISTENT })]);
  harness.ask(client, SM_CMD.ACQUIRE, body, { data: 1 });
  const taken = { ...hold(1, { shared: false, lver: 1n }), generation: 2n };
  harness.ran(harness.front.lockspaces[0]?.lease ?? 0, { op: 'acquire', hold: taken, lvb: null });
  scenario.wait(8 * T_S);
  harness.close(client);
  scenario.wait(200);
  assert.equal(scenario.phase, 'stopping', 'its lease is in use, and the watchdog not released');
  assert.equal(scenario.restarted().front.survivors[0]?.inherited.usedByOrphans, true);
});

test('a client that adds it while the daemon joins it gets the answer of that join', () => {
  for (const fails of [false, true]) {
    const scenario = new Scenario();
    scenario.lose();
    scenario.wait(5);
    const client = scenario.harness.connect(900, false);
    scenario.harness.lines = [];
    scenario.harness.ask(client, SM_CMD.ADD_LOCKSPACE, lockspace('LS'), { data: T_S });
    if (fails) scenario.joinFails('AIO_TIMEOUT');
    else scenario.joined();
    const answer = scenario.answerTo(client.connection, SM_CMD.ADD_LOCKSPACE);
    assert.equal(answer, fails ? -202 : 0);
    assert.equal(scenario.harness.front.lost.length, fails ? 1 : 0, 'it goes on where it failed');
    if (!fails) assert.equal(scenario.ask(SM_CMD.ADD_LOCKSPACE), EEXIST);
  }
  const scenario = new Scenario();
  scenario.lose();
  scenario.wait(5);
  assert.equal(scenario.ask(SM_CMD.ADD_LOCKSPACE, lockspace('LS'), ADD_FLAGS.ASYNC), 0);
});

test('an attempt that fails is repeated; one that finds another record, or none, is the last one', () => {
  const scenario = new Scenario();
  scenario.lose();
  scenario.wait(5);
  scenario.joinFails('AIO_TIMEOUT');
  scenario.wait(5);
  scenario.joinFails('ERRNO');
  scenario.wait(9);
  assert.equal(scenario.phase, 'none');
  scenario.wait(1);
  scenario.joinFails('HOSTID_BUSY');
  scenario.wait(200);
  assert.equal(scenario.phase, 'none');
  const logged = scenario.harness.logged.filter((line) => line.includes('joinsNoMore'));
  assert.deepEqual(logged, ['error lockspace.joinsNoMore lockspace=LS hostId=1']);
});

test('a removal ends it: before an attempt, during one, and afterwards', () => {
  for (const at of ['waiting', 'joining', 'joined']) {
    const scenario = new Scenario();
    scenario.lose();
    if (at !== 'waiting') scenario.wait(5);
    if (at === 'joined') scenario.joined();
    const isThere = at !== 'waiting';
    assert.equal(scenario.ask(SM_CMD.REM_LOCKSPACE), at === 'joined' ? null : isThere ? 0 : ENOENT);
    if (isThere) scenario.leave();
    scenario.wait(200);
    assert.equal(scenario.phase, 'none', at);
    assert.equal(scenario.harness.front.lost.length, 0, at);
  }
});

test('one that is removed while it is being lost is not joined again', () => {
  const scenario = new Scenario();
  scenario.wait(8 * T_S);
  assert.equal(scenario.ask(SM_CMD.REM_LOCKSPACE), EINPROGRESS);
  scenario.leave();
  scenario.wait(200);
  assert.equal(scenario.phase, 'none');
});

test('another lockspace that a client adds in its place goes first', () => {
  const other = lockspace('LS', { hostId: 2n });
  const waiting = new Scenario();
  waiting.lose();
  assert.equal(waiting.ask(SM_CMD.ADD_LOCKSPACE, other), null, 'it is being joined');
  assert.equal(waiting.harness.front.lost.length, 0);
  const joining = new Scenario();
  joining.lose();
  joining.wait(5);
  assert.equal(joining.ask(SM_CMD.ADD_LOCKSPACE, other), EAGAIN);
  joining.leave();
  assert.equal(joining.ask(SM_CMD.ADD_LOCKSPACE, other), null, 'it is being joined');
});

test('persistent leases were lost in it: their users may go on, so it is not joined unasked', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  const client = harness.connect(501);
  const body = acquireBody([resource(1, { flags: RES_FLAGS.PERSISTENT })]);
  harness.ask(client, SM_CMD.ACQUIRE, body, { data: 1 });
  harness.granted(1, 1);
  scenario.wait(8 * T_S);
  harness.close(client);
  scenario.leave();
  scenario.wait(200);
  assert.equal(scenario.phase, 'none');
});

test('of processes that share a lease of a lost lockspace any persistent one counts', () => {
  const { PERSISTENT, SHARED } = RES_FLAGS;
  const shared = (flags: number) => acquireBody([resource(1, { flags: SHARED | flags })]);
  for (const usedByOrphans of [false, true]) {
    for (const isPersistentFirst of [true, false]) {
      const scenario = new Scenario();
      const { harness } = scenario;
      const { front } = harness;
      for (const space of front.lockspaces) space.usedByOrphans = usedByOrphans;
      const clients = [PERSISTENT, 0].map((flags, n) => {
        const client = harness.connect(501 + n);
        harness.ask(client, SM_CMD.ACQUIRE, shared(flags), { data: 1 });
        if (n === 0) harness.granted(1, 1, true);
        return client;
      });
      scenario.wait(8 * T_S);
      // They are stopped, and end in whatever order.
      for (const one of isPersistentFirst ? clients : clients.reverse()) harness.close(one);
      scenario.wait(1);
      const states = front.resources.map(({ state }) => state);
      assert.deepEqual(states, usedByOrphans ? ['orphan'] : []);
      if (usedByOrphans) continue;
      scenario.leave();
      scenario.wait(200);
      assert.equal(scenario.phase, 'none');
    }
  }
});

test('a persistent lease that was not found on the disk yet counts as one that was lost', () => {
  for (const usedByOrphans of [false, true]) {
    const scenario = new Scenario();
    const data = CONFIG_COMMANDS.USED_BY_ORPHANS;
    const asker = scenario.harness.connect(900, false);
    if (usedByOrphans) scenario.harness.ask(asker, SM_CMD.SET_CONFIG, lockspace('LS'), { data });
    const body = acquireBody([resource(1, { flags: RES_FLAGS.PERSISTENT })]);
    scenario.harness.ask(scenario.harness.connect(501), SM_CMD.ACQUIRE, body, { data: 1 });
    scenario.harness.granted(1, 1);
    scenario.restart([501]);
    const { harness } = scenario;
    const [client] = harness.front.clients.values();
    scenario.wait(8 * T_S);
    assert.equal(harness.runs[0]?.command.op, 'recover', 'the disk is silent');
    const process = client?.process;
    assert.ok(process);
    harness.event({ kind: 'processEnded', process });
    scenario.wait(1);
    // Its LV may be active: where orphans count as users the watchdog is to reset the host.
    assert.equal(scenario.phase, usedByOrphans ? 'stopping' : 'leaving');
    if (usedByOrphans) continue;
    scenario.leave();
    scenario.wait(200);
    assert.equal(scenario.phase, 'none');
  }
});

test('another host has overwritten it: it is not joined unasked', () => {
  const scenario = new Scenario();
  const error = { code: 'RENEW_DIFF', during: 'test', facts: {} } as const;
  const event = { kind: 'renewalFailed', error, overwritten: true } as const;
  scenario.harness.leaseSends(1, event);
  scenario.wait(1);
  scenario.leave();
  scenario.wait(200);
  assert.equal(scenario.phase, 'none');
});

test('a daemon that is started again goes on', () => {
  const scenario = new Scenario();
  scenario.lose();
  const next = scenario.restarted();
  assert.deepEqual(
    next.front.lost.map(({ space }) => space),
    [{ name: 'LS', hostId: 1, path: '/dev/lun', offset: 0, ioTimeoutS: T_S }],
  );
  scenario.wait(5);
  const during = scenario.restarted();
  assert.equal(during.front.lost.length, 1, 'the attempt had joined nothing');
  scenario.joinFails('HOSTID_BUSY');
  assert.equal(scenario.restarted().front.lost.length, 0);
});

test('the first client that adds it is answered 0, over daemons that are started again', () => {
  const scenario = new Scenario();
  scenario.lose();
  scenario.wait(5);
  scenario.joined();
  for (const expected of [[], [0, EEXIST], [EEXIST]]) {
    scenario.restart();
    assert.deepEqual(
      expected.map(() => scenario.ask(SM_CMD.ADD_LOCKSPACE)),
      expected,
    );
  }
});

test('it keeps no daemon from ending', () => {
  for (const waitS of [0, 5]) {
    const scenario = new Scenario();
    scenario.lose();
    scenario.wait(waitS);
    scenario.ask(SM_CMD.SHUTDOWN, NOTHING);
    if (waitS > 0) scenario.leave();
    assert.equal(scenario.phase, 'none');
    assert.ok(scenario.harness.front.ending);
  }
});
