import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import { Dice } from '../sim/dice.ts';
import { acquaint, LAB_HOSTS, LAB_PLACE, Lab, type LabHost, type LabTask } from '../sim/lab.ts';
import { convertToExclusive, convertToShared } from './convert.ts';
import { type AcquireWish, paxosAcquire } from './paxos-acquire.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { paxosRelease } from './paxos-release.ts';

// Hosts that step in any order, one effect at a time, with writes that land at any time: here a
// host may stand still for as long as it takes between two effects, which no simulated disk does.

const SEEDS = Number(process.env['ANY_ORDER_SEEDS'] ?? 500);
const FIRST = Number(process.env['ANY_ORDER_FIRST'] ?? 1);
const EVENTS = 600;
const HOSTS = 4;
const WISH: AcquireWish = {
  shared: false,
  ownerNowait: true,
  wantedLver: null,
  newNumHosts: null,
  guess: { geometry: GEOMETRY_512_1M, numHosts: LAB_HOSTS },
};

type Mode = 'exclusive' | 'shared';

/** A lease process and its user: one job at a time, and what a job left is done before the next. */
class Seat {
  readonly host: LabHost;
  readonly #dice: Dice;
  hold: PaxosHold | null = null;
  /** What its user works by. */
  claim: Mode | null = null;
  #cancelled = false;
  #task: { readonly task: LabTask<unknown>; readonly done: (result: unknown) => void } | null =
    null;

  constructor(host: LabHost, dice: Dice) {
    this.host = host;
    this.#dice = dice;
  }

  step(): void {
    if (this.#task === null) this.#begin();
    const now = this.#task;
    if (now === null) return;
    now.task.step();
    if (now.task.wants !== null) return;
    this.#task = null;
    now.done(now.task.result);
  }

  /** Its users are gone, and its process with all that it had sent. */
  rejoin(): void {
    this.#task = null;
    this.hold = null;
    this.claim = null;
    this.host.rest.splice(0);
    this.host.land();
    const { fate } = this.host;
    this.host.fate = () => 'done';
    this.host.join();
    this.host.fate = fate;
  }

  cancel(): void {
    this.#cancelled = true;
  }

  #run<T>(task: LabTask<T>, done: (result: T) => void): void {
    this.#task = { task, done: (result) => done(result as T) };
  }

  #begin(): void {
    const rest = this.host.rest.shift();
    if (rest !== undefined) {
      this.#run(this.host.task(rest()), () => {});
      return;
    }
    this.#cancelled = false;
    const member = this.host.member(() => this.#cancelled);
    const { hold } = this;
    if (hold === null) {
      const shared = this.#dice.chance(0.5);
      const steps = paxosAcquire(member, LAB_PLACE, { ...WISH, shared });
      this.#run(this.host.task(steps), (got) => {
        if (!got.ok) return;
        this.hold = got.value;
        this.claim = shared ? 'shared' : 'exclusive';
      });
    } else if (this.#dice.chance(0.5)) {
      this.claim = null;
      const steps = paxosRelease(member, hold, { lvb: null, rename: null });
      this.#run(this.host.task(steps), () => {
        this.hold = null;
      });
    } else this.#convert(hold);
  }

  #convert(hold: PaxosHold): void {
    const member = this.host.member(() => this.#cancelled);
    if (!hold.shared) this.claim = 'shared'; // others may share before the answer
    const steps = hold.shared
      ? convertToExclusive(member, hold, true)
      : convertToShared(member, hold, null);
    this.#run(this.host.task(steps), (got) => {
      if (got.ok) this.hold = got.value;
      else this.hold = { ...hold, dblock: got.error.dblock ?? hold.dblock };
      this.claim = this.hold.shared ? 'shared' : 'exclusive';
    });
  }
}

function play(seed: number): number {
  const dice = new Dice(seed);
  const lab = new Lab();
  const hosts = Array.from({ length: HOSTS }, (_, n) => lab.join(n + 1));
  acquaint(hosts);
  const lateness = dice.between(0, 0.25);
  const switching = dice.between(0.03, 0.4);
  const stillUntil = hosts.map(() => 0);
  for (const host of hosts) {
    host.fate = () => {
      if (!dice.chance(lateness)) return 'done';
      return dice.chance(0.5) ? 'late' : dice.chance(0.5) ? 'landed' : 'failed';
    };
  }
  const seats = hosts.map((host) => new Seat(host, dice));
  let grants = 0;
  let current = seats[0];
  for (let event = 0; event < EVENTS; event++) {
    if (dice.chance(switching)) {
      const n = dice.below(HOSTS);
      if (dice.chance(0.2)) stillUntil[n] = event + dice.below(100); // a host stands still
      if (event >= (stillUntil[n] ?? 0)) current = seats[n];
    }
    if (current === undefined) continue;
    if (dice.chance(0.02)) current.host.land();
    else if (dice.chance(0.003)) current.rejoin();
    else if (dice.chance(0.01)) current.cancel();
    else {
      const before = current.claim;
      current.step();
      if (current.claim !== null && before === null) grants++;
    }
    const claims = seats.flatMap(({ claim }) => (claim === null ? [] : [claim]));
    const isBroken = claims.length > 1 && claims.includes('exclusive');
    assert.ok(!isBroken, `seed ${seed}, event ${event}: ${seats.map(({ claim }) => claim)}`);
  }
  return grants;
}

test('hosts in any order, writes that land at any time: never two owners', () => {
  let grants = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) grants += play(seed);
  assert.ok(grants > SEEDS, `${grants} grants`);
});
