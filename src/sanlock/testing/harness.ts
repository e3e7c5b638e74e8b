import assert from 'node:assert/strict';
import { MIB } from '../../base/units.ts';
import { decode, encode, zeroRecord } from '../../codec/struct.ts';
import type { LeaseError, LeaseErrorCode } from '../../lease/lease-error.ts';
import type {
  FromLeaseProcess,
  HeldLease,
  LeaseAnswer,
  ToLeaseProcess,
} from '../../lease-process/messages.ts';
import {
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  type SmHeader,
  sanlkDisk,
  sanlkLockspace,
  sanlkOptions,
  sanlkResource,
  smHeader,
} from '../../wire/sanlock/socket.ts';
import { stepFront } from '../daemon.ts';
import type { Effect } from '../effects.ts';
import type { FrontEvent } from '../events.ts';
import { Front, type Journal } from '../front.ts';
import { DEFAULTS } from '../settings.ts';
import { type Client, newClient } from '../state.ts';
import type { UserProcess } from '../user-process.ts';

const SETTINGS = { ...DEFAULTS, ourHostName: 'host1', useWatchdog: false };

const UNREAD: Journal = { append: () => true, replace: () => true };

type Run = Extract<ToLeaseProcess, { kind: 'run' }>;

/** A moment in seconds, what happens then, and every effect of it as a line of text. */
export type Row = readonly [atS: number, happen: () => void, effects: readonly string[]];

/** The front alone, with a hand in the place of each lease process, peer and process. */
export class Harness {
  readonly front: Front;
  /** Every effect, as a line: what a table of a test is compared with. */
  lines: string[] = [];
  /** What went into the log: `warn lease.refused lockspace=LS …`. */
  logged: string[] = [];
  /** Commands handed to lease processes and not answered yet. */
  readonly runs: Run[] = [];
  /** Questions about processes of an earlier daemon that are not answered yet. */
  readonly searches: Extract<Effect, { kind: 'findProcess' | 'findLeaseEnd' }>[] = [];
  /** Connections that take no more events. */
  readonly deaf = new Set<number>();
  #nextConnection = 1;

  constructor({
    killGraceS = SETTINGS.killGraceS,
    ourHostName = SETTINGS.ourHostName,
    journal = UNREAD,
  } = {}) {
    this.front = new Front({
      settings: { ...SETTINGS, killGraceS, ourHostName },
      journal,
      random: () => 0.5,
      helperPid: 0,
    });
    this.at(100_000);
  }

  /** One event, and all that comes of it at the same moment. */
  event(event: FrontEvent): void {
    const { nowMs, bootMs } = this.front;
    for (const effect of stepFront(this.front, event, nowMs, bootMs)) this.#apply(effect);
  }

  #apply(effect: Effect): void {
    const { lines } = this;
    switch (effect.kind) {
      case 'send': {
        const { cmd, data } = decode(smHeader, effect.bytes);
        lines.push(`c${effect.connection} answer ${cmd}: ${data}`);
        return;
      }
      case 'end':
        lines.push(`c${effect.connection} end`);
        return;
      case 'deliver':
        this.#deliver(effect);
        return;
      case 'startLease':
        this.#leaseStarted(effect.lease);
        return;
      case 'toLease':
        this.#toLease(effect.lease, effect.message);
        return;
      case 'endLease':
        lines.push(`lease${effect.lease} killed`);
        return;
      case 'signal':
        lines.push(`${effect.signal} ${effect.process.pid}`);
        return;
      case 'runKillpath':
        lines.push([effect.program, ...effect.args].join(' '));
        return;
      case 'findProcess':
      case 'findLeaseEnd':
        this.searches.push(effect);
        return;
      case 'log': {
        const words = Object.entries(effect.fields).map(([name, value]) => `${name}=${value}`);
        this.logged.push([effect.level, effect.event, ...words].join(' '));
        return;
      }
      default: // effects that no test checks
    }
  }

  #deliver(effect: Extract<Effect, { kind: 'deliver' }>): void {
    const { connection, lockspace, bytes } = effect;
    const isGone = this.deaf.has(connection);
    const text = isGone ? 'refused' : Buffer.from(bytes.subarray(32)).toString('hex');
    this.lines.push(`c${connection} event ${text}`);
    if (isGone) this.event({ kind: 'undelivered', connection, lockspace });
  }

  #leaseStarted(lease: number): void {
    this.event({ kind: 'leaseStarted', lease, process: this.process(50_000 + lease) });
  }

  #toLease(lease: number, message: ToLeaseProcess): void {
    if (message.kind === 'announce') return;
    if (message.kind === 'run') this.runs.push(message);
    this.lines.push(`lease${lease} ${text(message)}`);
  }

  process(pid: number): UserProcess {
    const signal = (name: string) => this.lines.push(`${name} ${pid}`);
    const close = () => {};
    const facts = { pid, identity: `${pid}`, hasEnded: false, command: 'qemu-kvm' };
    return { ...facts, signal, onKnown: (known) => known(), close };
  }

  /** Plays a table and compares each row's effects. */
  play(rows: readonly Row[]): void {
    for (const [atS, happen, effects] of rows) {
      this.at(atS * 1000);
      this.lines = [];
      happen();
      assert.deepEqual(this.lines, effects, `at ${atS} s`);
    }
  }

  connect(pid: number, registered = true): Client {
    const slot = this.front.freeSlot() ?? 0;
    const connection = this.#nextConnection++;
    const client = newClient({ connection, slot, fd: slot, process: this.process(pid) });
    if (registered) Object.assign(client, { registered, pid });
    this.front.clients.set(connection, client);
    return client;
  }

  close(client: Client): void {
    this.event({ kind: 'closed', connection: client.connection });
  }

  ask(client: Client, cmd: number, body: Uint8Array, fields: Partial<SmHeader> = {}): void {
    const header = {
      ...zeroRecord(smHeader),
      magic: SM_MAGIC,
      version: SM_PROTO,
      cmd,
      length: SM_HEADER_BYTES + body.length,
      data2: -1,
      ...fields,
    };
    this.event({ kind: 'request', connection: client.connection, header, body });
  }

  leaseSends(lease: number, message: FromLeaseProcess): void {
    this.event({ kind: 'leaseSent', lease, message });
  }

  /** Answers the oldest command of the lease processes. */
  ran(lease: number, result: LeaseAnswer | LeaseErrorCode): void {
    const run = this.runs.shift();
    assert.ok(run !== undefined, 'a command waits for its answer');
    const error = { code: result as LeaseErrorCode, during: 'test', facts: {} };
    const answer =
      typeof result === 'string'
        ? ({ ok: false, step: 'run', error, leader: null } as const)
        : ({ ok: true, ...result } as const);
    this.leaseSends(lease, { kind: 'ran', id: run.id, result: answer });
  }

  /** The oldest command ends with a refusal that knows what it found. */
  refused(lease: number, error: LeaseError): void {
    const run = this.runs.shift();
    assert.ok(run !== undefined, 'a command waits for its answer');
    this.leaseSends(lease, {
      kind: 'ran',
      id: run.id,
      result: { ok: false, step: 'run', error, leader: null },
    });
  }

  granted(lease: number, n: number, shared = false, lver = 1n): void {
    this.ran(lease, { op: 'acquire', hold: hold(n, { shared, lver }), lvb: null });
  }

  /** The next event comes then; the machine has never been suspended. */
  at(nowMs: number): void {
    this.front.nowMs = nowMs;
    this.front.bootMs = nowMs;
  }

  tick(): void {
    this.event({ kind: 'tick' });
  }

  renewed(lease: number, timestampS: number): void {
    this.leaseSends(lease, {
      kind: 'renewed',
      timestampS,
      claimedBootMs: timestampS * 1000,
      readMs: 1,
      writeMs: 1,
    });
  }

  /** A joined lockspace LS with io timeout `t`, its last renewal now; its lease process is 1. */
  join(t: number): void {
    const asker = this.connect(900, false);
    this.ask(asker, 2, lockspace('LS'), { data: t });
    this.joined(1, 1n);
    this.front.clients.delete(asker.connection);
  }

  /** Its process has joined the lockspace, or resumed the membership, this moment. */
  joined(lease: number, generation: bigint): void {
    const { nowMs, bootMs: claimedBootMs } = this.front;
    const claim = { generation, timestampS: nowMs / 1000, claimedBootMs };
    const sizes = { sectorSize: 512, areaBytes: MIB, maxHosts: 2000 };
    this.leaseSends(lease, { kind: 'joined', ...claim, ...sizes });
  }
}

function text(message: ToLeaseProcess): string {
  if (message.kind === 'leave') return `leave release=${message.release}`;
  if (message.kind !== 'run') return message.kind;
  const { command } = message;
  const n = 'hold' in command ? command.hold : command.area.offset / MIB;
  return `${command.op} R${n}`;
}

/** Of R<n>: its number is n. */
export function hold(n: number, of: { shared: boolean; lver: bigint }): HeldLease {
  return { number: n, generation: 1n, sectorSize: 512, areaBytes: MIB, ...of };
}

export function lockspace(name: string, of: { hostId?: bigint; path?: string } = {}): Uint8Array {
  const { hostId = 1n, path = '/dev/lun' } = of;
  return encode(sanlkLockspace, { ...zeroRecord(sanlkLockspace), name, hostId, path });
}

/** R<n> of lockspace LS or another one, with its disk unless `bare`. */
export function resource(
  n: number,
  of: { flags?: number; bare?: boolean; lockspaceName?: string } = {},
): Uint8Array {
  const head = encode(sanlkResource, {
    ...zeroRecord(sanlkResource),
    lockspaceName: of.lockspaceName ?? 'LS',
    name: n === 0 ? '' : `R${n}`,
    flags: of.flags ?? 0,
    numDisks: of.bare === true ? 0 : 1,
  });
  if (of.bare === true) return head;
  const disk = { ...zeroRecord(sanlkDisk), path: '/dev/lun', offset: BigInt(n * MIB) };
  return joinBytes([head, encode(sanlkDisk, disk)]);
}

export function acquireBody(resources: readonly Uint8Array[], ownerName = ''): Uint8Array {
  const options = encode(sanlkOptions, { ...zeroRecord(sanlkOptions), ownerName });
  return joinBytes([...resources, options]);
}

function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
