import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { GEOMETRY_512_1M, type Geometry, geometryOf, LVB_SECTOR } from '../format/geometry.ts';
import { Dice } from '../sim/kernel/dice.ts';
import {
  acquaint,
  HARNESS_HOSTS,
  ProcedureHarness,
  type WriteFate,
} from '../sim/procedure-harness.ts';
import { ORIGINALS, OURS, SteppedHost, Values } from './testing/host.ts';
import { OriginalDefect } from './testing/original-peer.ts';

// Hosts that step in any order, one effect at a time, with writes that land at any time: here a
// host may stand still for as long as it takes between two effects, which no simulated disk does.

const SEEDS = Number(process.env['ANY_ORDER_SEEDS'] ?? 15);
const FIRST = Number(process.env['ANY_ORDER_FIRST'] ?? 1);
const ONLY = process.env['ANY_ORDER_ONLY'] ?? '';
const EVENTS = 600;
const HOSTS = 4;
/** A host that cannot renew for longer grants nothing. */
const LOOKS_MS = 60_000;

interface World {
  readonly geometry: Geometry;
  readonly hasValues: boolean;
  /** Hosts stop renewing, are reset, and join again. */
  readonly hasDeaths: boolean;
  /** Lease processes of our hosts are killed, and others go on with their memberships. */
  readonly hasCrashes: boolean;
  readonly hasNumHosts: boolean;
  /** The last ones of the four run the original. */
  readonly originals: number;
  /** How the originals' writes may end. */
  readonly originalFates: readonly WriteFate[];
}

const PLAIN: World = {
  geometry: GEOMETRY_512_1M,
  hasValues: false,
  hasDeaths: false,
  hasCrashes: false,
  hasNumHosts: false,
  originals: 0,
  originalFates: ['done'],
};

class Run {
  readonly dice: Dice;
  readonly world: World;
  readonly harness: ProcedureHarness;
  readonly hosts: readonly SteppedHost[];
  grants = 0;
  /** How soon a late write lands. */
  readonly #landing: number;
  #lookedMs = 0;

  constructor(seed: number, world: World) {
    this.world = world;
    const dice = new Dice(seed);
    this.dice = dice;
    const harness = new ProcedureHarness(
      10,
      MIB,
      world.geometry,
      world.hasNumHosts ? 1 + dice.below(8) : HARNESS_HOSTS,
    );
    this.harness = harness;
    const hosts = Array.from({ length: HOSTS }, (_, n) => harness.join(n + 1));
    acquaint(hosts);
    this.#landing = dice.between(0, 0.04);
    const lateness = dice.between(0, 0.25);
    const valueAt = LVB_SECTOR * world.geometry.sectorSize;
    const { originalFates } = world;
    const tearing = dice.chance(0.5) ? 0 : dice.between(0, 0.4);
    const blindness = dice.chance(0.5) ? 0 : dice.between(0, 0.03);
    const values = world.hasValues ? new Values() : null;
    const newNumHosts = world.hasNumHosts
      ? () => (dice.chance(0.2) ? 1 + dice.below(8) : null)
      : null;
    this.hosts = hosts.map((host) => {
      const ways = host.hostId > HOSTS - world.originals ? ORIGINALS : OURS;
      host.fate = ({ offset }) => {
        if (!dice.chance(offset === valueAt ? 2 * lateness : lateness)) return 'done';
        const fate = dice.pick(['late', 'late', 'landed', 'failed', 'refused'] as const);
        if (ways === OURS) return fate;
        // It forgets a leader write that may still land (spec 10 §17.1 item 19).
        return originalFates.includes(fate) && (offset > 0 || fate !== 'late') ? fate : 'done';
      };
      host.readFate = () => {
        if (!dice.chance(blindness)) return 'done';
        return dice.chance(0.5) ? 'failed' : 'unknown';
      };
      return new SteppedHost(host, ways, dice, { values, newNumHosts, tearing });
    });
  }

  /** One effect, or something that happens to the host. */
  happen(stepped: SteppedHost): void {
    const { dice } = this;
    const roll = dice.next();
    if (roll < 0.003) stepped.rejoin();
    else if (roll < 0.013) stepped.cancel();
    else if (this.world.hasDeaths && roll < 0.033) this.#disturb(stepped);
    else if (this.world.hasCrashes && roll < 0.053) stepped.crash();
    else if (this.world.hasCrashes && roll < 0.083) stepped.sure();
    else if (roll < 0.033 + this.#landing) stepped.host.land();
    else {
      const before = stepped.claim;
      stepped.step();
      if (stepped.claim !== null && before === null) this.grants++;
    }
    for (const each of this.hosts) each.tick();
    const isLong = this.harness.nowMs - this.#lookedMs > LOOKS_MS;
    for (const each of this.hosts) if (isLong || dice.chance(0.02)) each.readHosts();
    if (isLong) this.#lookedMs = this.harness.nowMs;
  }

  /** It dies, leaves or comes back, or time goes by for one that is dead. */
  #disturb(stepped: SteppedHost): void {
    const { dice } = this;
    const { hostId, diedMs } = stepped.host;
    const roll = dice.next();
    if (stepped.isGone && roll < 0.4) {
      stepped.rejoin(dice.chance(0.7) ? undefined : `machine-${dice.below(3)}-${hostId}`);
    } else if (diedMs !== null) this.harness.nowMs += dice.below(80_000);
    else if (roll < 0.3) stepped.die();
    else if (roll < 0.5) stepped.reset();
    else stepped.leave();
  }

  checkClaims(event: number): void {
    const claims = this.hosts.flatMap(({ claim }) => (claim === null ? [] : [claim]));
    const isBroken = claims.length > 1 && claims.includes('exclusive');
    const who = this.hosts.map(({ claim }) => claim ?? 'none');
    assert.ok(!isBroken, `event ${event}: ${who}`);
  }
}

function play(seed: number, world: World): number {
  const run = new Run(seed, world);
  const { dice, hosts } = run;
  const switching = dice.between(0.03, 0.4);
  const stillUntil = hosts.map(() => 0);
  const away = dice.below(HOSTS); // few hosts get further than many
  if (dice.chance(0.5)) stillUntil[away] = EVENTS;
  let current = hosts[(away + 1) % HOSTS];
  for (let event = 0; event < EVENTS; event++) {
    if (dice.chance(switching)) {
      const n = dice.below(HOSTS);
      if (dice.chance(0.2)) stillUntil[n] = event + dice.below(100); // a host stands still
      if (event >= (stillUntil[n] ?? 0)) current = hosts[n];
    }
    if (current === undefined) continue;
    run.happen(current);
    run.checkClaims(event);
  }
  return run.grants;
}

function check(what: string, world: World): void {
  const name = `hosts in any order, writes that land at any time: ${what}`;
  test(name, { skip: !name.includes(ONLY) }, (t) => {
    let grants = 0;
    const broken: string[] = [];
    const ended = new Map<string, number>();
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      try {
        grants += play(seed, world);
      } catch (error) {
        // A defect of the original alone is no finding; but not every run may end by one.
        if (error instanceof OriginalDefect) {
          ended.set(error.message, (ended.get(error.message) ?? 0) + 1);
        } else if (error instanceof assert.AssertionError) {
          broken.push(`seed ${seed}: ${error.message}`);
        } else throw error;
      }
    }
    t.diagnostic(`${grants} grants${[...ended].map(([why, n]) => `, ${n} ended by ${why}`)}`);
    assert.deepEqual(broken, []);
    assert.ok(grants > SEEDS, `${grants} grants`);
  });
}

const GEOMETRY_4K_1M = geometryOf(4096, MIB) ?? GEOMETRY_512_1M;
const MIXED: World = { ...PLAIN, originals: 2, hasValues: true };

check('never two owners', PLAIN);
check('no value but the last one', { ...PLAIN, hasValues: true });
check('hosts that die, leave and come back', { ...PLAIN, hasValues: true, hasDeaths: true });
check('sectors of 4096 bytes', { ...PLAIN, hasDeaths: true, geometry: GEOMETRY_4K_1M });
check('processes that are killed, and followed by others', {
  ...PLAIN,
  hasValues: true,
  hasDeaths: true,
  hasCrashes: true,
});
check('changing numbers of host blocks', { ...PLAIN, hasNumHosts: true });
check('beside the original', MIXED);
check('beside originals that die', { ...MIXED, hasDeaths: true });
check('processes that are killed, beside originals', { ...MIXED, hasCrashes: true });
check('beside originals with failing writes', {
  ...MIXED,
  originalFates: ['landed', 'failed'],
});
check('beside originals with late writes', {
  ...MIXED,
  hasDeaths: true,
  originalFates: ['landed', 'failed', 'late'],
});
