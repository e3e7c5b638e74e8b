import { MIB } from '../../base/units.ts';
import { encode } from '../../codec/struct.ts';
import type { LeaseAnswer, LeaseCommand } from '../../lease-process/messages.ts';
import type { Dice } from '../../sim/kernel/dice.ts';
import {
  ACQUIRE_FLAGS,
  CONFIG_COMMANDS,
  killpathBody,
  REL_FLAGS,
  RES_FLAGS,
  SM_CMD,
} from '../../wire/sanlock/socket.ts';
import type { Journal } from '../front.ts';
import type { Client } from '../state.ts';
import { processOf } from '../survivor-step.ts';
import type { Survivor } from '../survivors.ts';
import { acquireBody, Harness, hold, lockspace, resource } from './harness.ts';

const NAMES = ['LS', 'LT'] as const;
const RESOURCES = [1, 2, 3, 4] as const;
const MOST_CLIENTS = 8;
const T_S = 10;
const NOTHING = new Uint8Array(0);
const SIZES = { sectorSize: 512, areaBytes: MIB, maxHosts: 2000 };
/** As the harness numbers them. */
const FIRST_LEASE_PID = 50_000;
const FLAGS = [0, RES_FLAGS.SHARED, RES_FLAGS.PERSISTENT, RES_FLAGS.SHARED | RES_FLAGS.PERSISTENT];
const ACQUIRES = [
  0,
  ACQUIRE_FLAGS.LVB,
  ACQUIRE_FLAGS.LVB,
  ACQUIRE_FLAGS.ORPHAN,
  ACQUIRE_FLAGS.ORPHAN_ONLY,
];

/** A front whose clients request anything, and whose lease processes answer anything. */
export class RandomFront {
  harness: Harness;
  readonly #dice: Dice;
  readonly #journal: Journal;
  #nextPid = 500;

  constructor(dice: Dice, journal: Journal) {
    this.harness = new Harness({ journal });
    this.#dice = dice;
    this.#journal = journal;
    for (const name of NAMES) this.#add(name);
  }

  /** The daemon is killed; the next one reads what it left. Some clients have ended as well. */
  restart(lines: readonly string[]): void {
    const { nowMs } = this.harness.front;
    this.harness = new Harness({ journal: this.#journal });
    const { harness } = this;
    harness.at(nowMs + 1000 * (1 + this.#dice.below(5)));
    harness.event({ kind: 'started', lines, damaged: 0 });
    this.#answerSearches();
  }

  #answerSearches(): void {
    const { harness } = this;
    for (const { kind, search, pid } of harness.searches.splice(0)) {
      if (kind === 'findLeaseEnd') {
        harness.event({ kind: 'leaseEndFound', search, end: { refusedUntilMs: null } });
      } else {
        const isAlive = pid < FIRST_LEASE_PID && this.#dice.chance(0.8);
        const process = isAlive ? harness.process(pid) : null;
        harness.event({ kind: 'processFound', search, process });
      }
    }
  }

  /** One event, whatever it is. @returns what happened, for a failing test */
  step(): string {
    const dice = this.#dice;
    this.#answerSearches();
    const n = dice.below(100);
    if (n < 30 && this.#leaseProcessWorks()) return 'a lease process answered';
    if (n < 40 && this.#leaseProcessMoves()) return 'a lease process went on';
    if (n < 45) return this.#timePasses();
    if (n < 48) return this.#lockspaceChanges();
    const known = [...this.harness.front.clients.values()].filter((one) => one.registered);
    const clients = known.filter(({ connection }) => connection > 0);
    const inherited = known.filter(({ connection }) => connection < 0);
    if (n < 50 && inherited.length > 0) return this.#inheritedGoesOn(inherited);
    if (clients.length < 2 || (n < 52 && clients.length < MOST_CLIENTS)) {
      this.#comes(this.#nextPid++);
      return 'a client came';
    }
    const client = clients[dice.below(clients.length)];
    if (client === undefined) return 'nothing';
    if (n < 55) {
      this.harness.close(client);
      this.#answerSearches(); // whether its process goes on
      return `client ${client.connection} went`;
    }
    if (client.suspended) return 'nothing';
    return this.#request(client);
  }

  #comes(pid: number): void {
    const client = this.harness.connect(pid, false);
    this.harness.ask(client, SM_CMD.REGISTER, NOTHING);
  }

  /** A process that an earlier daemon had as a client connects again, or ends. */
  #inheritedGoesOn(inherited: readonly Client[]): string {
    const { process } = inherited[this.#dice.below(inherited.length)] ?? {};
    if (process === undefined || process === null) return 'nothing';
    if (this.#dice.chance(0.5)) this.#comes(process.pid);
    else this.harness.event({ kind: 'processEnded', process });
    return `process ${process.pid} came again, or ended`;
  }

  #request(client: Client): string {
    const dice = this.#dice;
    const { harness } = this;
    const held = client.tokens[dice.below(client.tokens.length)]?.resource ?? null;
    const isHeld = held !== null && dice.chance(0.8);
    const lockspaceName = isHeld ? held.lockspace.name : dice.pick(NAMES);
    const n = isHeld ? held.offset / MIB : dice.pick(RESOURCES);
    const bare = resource(n, { bare: true, lockspaceName });
    const kind = dice.below(12);
    switch (kind) {
      case 0:
      case 1:
      case 2:
      case 3:
        this.#acquire(client, lockspaceName);
        break;
      case 4:
      case 5:
        harness.ask(client, SM_CMD.RELEASE, bare, { data: 1, cmdFlags: this.#releaseFlags() });
        break;
      case 6:
      case 7: {
        const flags = held?.shared === true ? 0 : RES_FLAGS.SHARED;
        const body = resource(n, { bare: true, lockspaceName, flags });
        harness.ask(client, SM_CMD.CONVERT, body);
        break;
      }
      case 8: {
        const body = Uint8Array.from([...bare, dice.below(256)]);
        harness.ask(client, SM_CMD.SET_LVB, body);
        break;
      }
      case 9: {
        const body = encode(killpathBody, { path: '/sbin/killer', args: `"${dice.below(9)}"` });
        harness.ask(client, SM_CMD.KILLPATH, body);
        break;
      }
      case 10:
        harness.ask(client, SM_CMD.RESTRICT, NOTHING, { cmdFlags: dice.pick([0, 2, 4]) });
        break;
      default: {
        const data = dice.pick([
          CONFIG_COMMANDS.USED,
          CONFIG_COMMANDS.UNUSED,
          CONFIG_COMMANDS.USED_BY_ORPHANS,
          CONFIG_COMMANDS.UNUSED_BY_ORPHANS,
        ]);
        harness.ask(client, SM_CMD.SET_CONFIG, lockspace(lockspaceName), { data });
      }
    }
    return `client ${client.connection} requested ${kind} of ${lockspaceName} R${n}`;
  }

  #acquire(client: Client, lockspaceName: string): void {
    const dice = this.#dice;
    const wanted = RESOURCES.filter(() => dice.chance(0.4));
    const flags = FLAGS[dice.below(FLAGS.length)] ?? 0;
    const body = acquireBody(wanted.map((n) => resource(n, { flags, lockspaceName })));
    const cmdFlags = ACQUIRES[dice.below(ACQUIRES.length)] ?? 0;
    this.harness.ask(client, SM_CMD.ACQUIRE, body, { data: wanted.length, cmdFlags });
  }

  #releaseFlags(): number {
    const { ORPHAN, ALL } = REL_FLAGS;
    return this.#dice.pick([0, 0, 0, ORPHAN, ALL]);
  }

  /** Carries out the oldest command, or refuses it. */
  #leaseProcessWorks(): boolean {
    const { harness } = this;
    const [run] = harness.runs;
    if (run === undefined) return false;
    const lease = harness.front.pending.get(run.id)?.lease;
    const answer = answerOf(run.command, run.id);
    if (lease === undefined)
      harness.runs.shift(); // its process was lost meanwhile
    else if (run.command.op === 'recover' && this.#dice.chance(0.1)) {
      harness.ran(lease, { op: 'recover', hold: null, lvb: null });
    } else harness.ran(lease, this.#dice.chance(0.2) ? 'AIO_TIMEOUT' : answer);
    return true;
  }

  /** Joins, leaves, ends, or breaks. */
  #leaseProcessMoves(): boolean {
    const { harness } = this;
    const dice = this.#dice;
    const { lockspaces, survivors, nowMs, bootMs } = harness.front;
    const survivor = survivors[dice.below(survivors.length)];
    if (survivor !== undefined && dice.chance(0.7)) return this.#survivorMoves(survivor);
    const space = lockspaces[dice.below(lockspaces.length)];
    if (space === undefined) return false;
    const { lease } = space;
    switch (space.phase.kind) {
      case 'joining':
        if (dice.chance(0.1)) {
          const error = { code: 'AIO_TIMEOUT', during: 'test', facts: {} } as const;
          harness.leaseSends(lease, { kind: 'joinFailed', error });
        } else {
          const claim = { generation: 1n, timestampS: nowMs / 1000, claimedBootMs: bootMs };
          harness.leaseSends(lease, { kind: 'joined', ...claim, ...SIZES });
        }
        return true;
      case 'live':
        if (dice.chance(0.03)) harness.event({ kind: 'leaseLost', lease });
        else if (!space.phase.processLost) harness.renewed(lease, nowMs / 1000);
        return true;
      case 'leaving':
        harness.leaseSends(lease, { kind: 'left', released: true });
        return true;
      case 'ending':
        harness.event({ kind: 'leaseEnded', lease });
        return true;
      default:
        return false;
    }
  }

  #survivorMoves({ phase, generation, lockspace: space }: Survivor): boolean {
    const { harness } = this;
    const { nowMs, bootMs } = harness.front;
    const lease = processOf(phase);
    if (lease === null || space === null) return false;
    switch (phase.kind) {
      case 'resuming': {
        const claim = { timestampS: nowMs / 1000, claimedBootMs: bootMs };
        const of = { generation: BigInt(generation), ...claim, ...SIZES };
        harness.leaseSends(lease, { kind: 'joined', ...of });
        return true;
      }
      case 'renewing':
        harness.renewed(lease, nowMs / 1000);
        return true;
      case 'stopping':
      case 'over':
        harness.event({ kind: 'leaseEnded', lease });
        return true;
      default:
        return false;
    }
  }

  #timePasses(): string {
    const { front } = this.harness;
    const seconds = this.#dice.chance(0.02) ? 8 * T_S : 1;
    this.harness.at(front.nowMs + seconds * 1000);
    this.harness.tick();
    return `${seconds} s passed`;
  }

  #lockspaceChanges(): string {
    const name = this.#dice.pick(NAMES);
    if (!this.#dice.chance(0.2)) return this.#add(name);
    const asker = this.harness.connect(900, false);
    this.harness.ask(asker, SM_CMD.REM_LOCKSPACE, lockspace(name, placeOf(name)));
    return `removal of ${name}`;
  }

  #add(name: string): string {
    const asker = this.harness.connect(900, false);
    const body = lockspace(name, placeOf(name));
    this.harness.ask(asker, SM_CMD.ADD_LOCKSPACE, body, { data: T_S });
    return `add of ${name}`;
  }
}

function placeOf(name: string) {
  return { path: `/dev/"${name}"` };
}

/** Each hold has the number of the command that acquired it. */
function answerOf(command: LeaseCommand, id: number): LeaseAnswer {
  switch (command.op) {
    case 'acquire': {
      const of = { shared: command.shared, lver: BigInt(id) };
      return { op: 'acquire', hold: hold(id, of), lvb: null };
    }
    case 'convert': {
      const of = { shared: command.toShared, lver: BigInt(id) };
      return { op: 'convert', hold: hold(command.hold, of) };
    }
    case 'release':
      return { op: 'release' };
    case 'recover': {
      const { mode, lver, begun } = command.known;
      if (mode === 'none' || lver === null) return { op: 'recover', hold: null, lvb: null };
      const shared = begun === 'toShared' ? id % 2 === 0 : mode === 'sh';
      return { op: 'recover', hold: hold(id, { shared, lver }), lvb: null };
    }
    default:
      throw new Error(`${command.op} was not expected`);
  }
}
