import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRecord } from '../guard/record.ts';
import type { GuardEvent, GuestRecord } from '../guard/state.ts';
import type { BoundProcess } from '../ports/processes.ts';
import { QUIET } from '../sim/kernel/log.ts';
import { GuardGuests } from './guard-guests.ts';

const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

class Process implements BoundProcess {
  readonly pid: number;
  identity: string | null;
  signalled = '';
  hasEnded = false;
  readonly command = 'sleep';

  constructor(pid: number, identity: string | null = `${pid}`) {
    this.pid = pid;
    this.identity = identity;
  }

  onKnown(known: () => void): void {
    known();
  }

  onEnded(): void {}

  signal(name: string): void {
    this.signalled = name;
  }

  close(): void {}
}

class Host {
  readonly posted: GuardEvent[] = [];
  readonly records = new Map<string, string>();
  readonly keeper = new Process(77);
  /** That run. */
  keepers = [{ uuid: UUID, keeper: this.keeper }];
  isFull = false;
  /** By pid. */
  readonly qemus = new Map<number, Process>();
  readonly guests = this.begin();

  begin(): GuardGuests {
    return new GuardGuests({
      log: QUIET,
      keepers: {
        start: (_of, started) => started(this.keeper),
        find: (pid) => this.keepers.find(({ keeper }) => keeper.pid === pid)?.keeper ?? null,
        all: () => this.keepers,
        lose: () => {},
      },
      records: {
        save: (uuid, json) => {
          if (this.isFull) throw new Error('ENOSPC');
          this.records.set(uuid, json);
        },
        remove: (uuid) => this.records.delete(uuid),
        load: () => this.records,
      },
      killpathOf: () => ({ path: '/x', args: '' }),
      qemus: {
        at: (_uuid, pid) => this.qemus.get(pid) ?? null,
        find: () => null,
        running: () => [...this.qemus.keys()].map((pid) => ({ uuid: UUID, pid })),
      },
      post: (event) => this.posted.push(event),
    });
  }

  recordQemu(): string {
    const record = decodeRecord(UUID, this.records.get(UUID) ?? '');
    assert.ok(record.ok, JSON.stringify(record));
    return JSON.stringify(record.value.qemu);
  }

  get kinds(): string {
    return this.posted.map(({ kind }) => kind).join();
  }
}

function record(qemuPid: number | null): GuestRecord {
  const nothing = {
    leases: [],
    holdings: new Map(),
    orphans: new Map(),
    unprotected: new Set<string>(),
  };
  return { uuid: UUID, name: 'web', onLoss: 'kill', qemuPid, ...nothing };
}

test('a keeper of which nothing is written down, or nothing that can be read, has its guest', () => {
  const host = new Host();
  const [lost] = host.begin().find().guests;
  const nothing = { name: UUID, onLoss: 'kill', leases: [], qemuPid: null } as const;
  const of = { ...nothing, keeperLives: true, qemuHasEnded: false };
  for (const [key, value] of Object.entries(of)) {
    assert.deepEqual(lost?.[key as keyof typeof of], value, key);
  }
  host.qemus.set(100, new Process(100));
  assert.equal(host.begin().find().guests[0]?.qemuPid, 100, 'libvirt may have given it up');
  host.records.set(UUID, '{"version":99}');
  const guests = host.begin();
  assert.equal(guests.find().guests[0]?.keeperLives, true);
  assert.equal(guests.keeperPid(UUID), 77);
  host.keepers = [];
  assert.equal(host.begin().find().guests[0]?.keeperLives, false, 'libvirt may know it');
});

test('of two keepers of a guest one is ended, and what another one had is orphaned', () => {
  const host = new Host();
  host.guests.startKeeper(UUID, 'web');
  const holdings = new Map([['a'.repeat(32), 'exclusive']] as const);
  host.guests.record({ ...record(null), holdings });
  const second = { uuid: UUID, keeper: new Process(78) };
  host.keepers = [second, ...host.keepers];
  assert.deepEqual(host.begin().find().guests[0]?.holdings, holdings);
  assert.deepEqual([host.keeper.signalled, second.keeper.signalled], ['', 'SIGKILL']);

  const third = { uuid: UUID, keeper: new Process(79) };
  host.keepers = [third, { uuid: UUID, keeper: new Process(80) }];
  const guests = host.begin();
  const [found] = guests.find().guests;
  assert.deepEqual([found?.holdings.size, found?.orphans], [0, holdings]);
  assert.equal(guests.keeperPid(UUID), 79, 'started, and not written down yet');
});

test('a QEMU of the last run is not written down as that of this one', () => {
  const host = new Host();
  host.qemus.set(100, new Process(100));
  host.guests.watchQemu(UUID, 100);
  host.guests.record(record(100));
  assert.equal(host.recordQemu(), '{"pid":100,"identity":"100"}');
  host.guests.record(record(null)); // it is started again
  assert.equal(host.recordQemu(), 'null');
  assert.equal(host.begin().find().guests[0]?.qemuPid, 100, 'as the kernel says');
  host.qemus.clear();
  assert.equal(host.begin().find().guests[0]?.qemuHasEnded, false, 'it is not known yet');
});

test('a QEMU has ended when it surely has', () => {
  const host = new Host();
  const qemu = new Process(100);
  host.qemus.set(100, qemu);
  host.guests.record(record(100));
  host.guests.watchQemu(UUID, 100);
  const hasEnded = () => host.begin().find().guests[0]?.qemuHasEnded;
  assert.equal(hasEnded(), false);
  qemu.identity = null; // /proc cannot be read
  assert.equal(hasEnded(), false);
  qemu.identity = '101';
  assert.equal(hasEnded(), true);
  host.qemus.clear();
  assert.equal(hasEnded(), true);
});

test('a guest that cannot be written down does not start, and one that runs is protected', () => {
  const host = new Host();
  host.guests.record(record(null));
  host.isFull = true;
  host.guests.startKeeper(UUID, 'web');
  assert.equal(host.kinds, 'keeperNotStarted');
  assert.equal(host.keeper.signalled, 'SIGKILL');
  assert.equal(host.guests.keeperPid(UUID), null);
  const running = new Host();
  running.guests.record(record(100));
  running.isFull = true;
  running.guests.startKeeper(UUID, 'web');
  assert.equal(running.kinds, 'keeperStarted');
});
