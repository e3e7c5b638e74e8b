import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dice } from '../sim/kernel/dice.ts';
import { acquaint, ProcedureHarness } from '../sim/procedure-harness.ts';
import { OURS, SteppedHost } from './testing/host.ts';
import { plantBlock, plantHostLease, plantLeader } from './testing/hostile.ts';
import { acquire } from './testing/users.ts';

// Two hosts race for a resource whose area holds what no host has written. Whatever lies there,
// they may both be refused; never do both hold it (spec 10 §4.6).

const TOP = 2n ** 64n - 1n;
const BYSTANDER = 5;

function race(): { harness: ProcedureHarness; hosts: ReturnType<ProcedureHarness['join']>[] } {
  const harness = new ProcedureHarness();
  const hosts = [harness.join(1), harness.join(2)];
  acquaint([...hosts, harness.join(BYSTANDER)]);
  return { harness, hosts };
}

const PLANTED: readonly (readonly [string, (harness: ProcedureHarness) => void])[] = [
  ['a ballot at the end of 64 bits', (harness) => plantBlock(harness, BYSTANDER, { mbal: TOP })],
  ['a version at the end of 64 bits', (harness) => plantBlock(harness, BYSTANDER, { lver: TOP })],
  ['the version before that', (harness) => plantBlock(harness, BYSTANDER, { lver: TOP - 1n })],
  ['a leader at the end of 64 bits', (harness) => plantLeader(harness, { lver: TOP })],
  ['a step of half of 64 bits', (harness) => plantSteps(harness, 5n)],
  ['such a step, and a ballot above it', (harness) => plantSteps(harness, 2n ** 63n + 5n)],
  [
    'the largest numbers that can be',
    (harness) => plantBlock(harness, BYSTANDER, { mbal: 2n ** 63n - 1n }),
  ],
  ['large numbers that can be', (harness) => plantBlock(harness, BYSTANDER, { mbal: 2n ** 62n })],
];

function plantSteps(harness: ProcedureHarness, mbal: bigint): void {
  plantLeader(harness, { maxHosts: 2n ** 63n });
  plantBlock(harness, BYSTANDER, { mbal });
}

/** How far each host gets before the other goes on: a hold takes six effects. */
const CUTS = [0, 1, 2, 3, 4, 5, 6] as const;

for (const [what, plant] of PLANTED) {
  test(`${what}: one owner at most, in every order`, () => {
    for (const a of CUTS) {
      for (const b of CUTS) {
        for (const c of [0, 1, 3]) {
          const { harness, hosts } = race();
          plant(harness);
          const [x, y] = hosts.map((host) => host.task(acquire(host)));
          assert.ok(x !== undefined && y !== undefined);
          x.advance(a);
          y.advance(b);
          x.advance(c);
          y.run();
          x.run();
          const owners = [x, y].filter((task) => task.result?.ok === true);
          assert.ok(owners.length <= 1, `${a} and ${b} and ${c} effects`);
          harness.close();
        }
      }
    }
  });
}

const SEEDS = Number(process.env['HOSTILE_SEEDS'] ?? 150);
const FIRST = Number(process.env['HOSTILE_FIRST'] ?? 1);
const EVENTS = 250;
/** Where ranges and the counting of 64 bits have their ends, and what is usual. */
const EDGES: readonly [bigint, ...bigint[]] = [
  0n,
  ...[1n, 1n, 2n, 2n, 3n, 5n, 2000n, 2001n, 4002n, 2n ** 32n + 1n, 2n ** 48n, 2n ** 62n],
  ...[2n ** 63n - 1n, 2n ** 63n, 2n ** 63n + 5n, TOP - 2001n, TOP - 1n, TOP],
];

function plantAnything(harness: ProcedureHarness, dice: Dice): void {
  const edge = () => dice.pick(EDGES);
  const some = <T>(fields: T): Partial<T> =>
    Object.fromEntries(
      Object.entries(fields as object).filter(() => dice.chance(0.3)),
    ) as Partial<T>; // a part of them
  for (let n = 1 + dice.below(3); n > 0; n--) {
    const what = dice.next();
    if (what < 0.5) {
      const [mbal, bal, inpHostId, inpGeneration] = [edge(), edge(), edge(), edge()];
      const block = { mbal, bal, inpHostId, inpGeneration, inpTimestampS: edge(), lver: edge() };
      plantBlock(harness, 1 + dice.below(8), { ...some(block), flags: dice.below(2) });
    } else if (what < 0.85) {
      const [lver, ownerId, ownerGeneration, timestampS] = [edge(), edge(), edge(), edge()];
      const leader = { lver, ownerId, ownerGeneration, timestampS, maxHosts: edge() };
      plantLeader(harness, some({ ...leader, numHosts: edge(), writeId: edge() }));
    } else if (what < 0.95) {
      const lease = { ownerId: edge(), ownerGeneration: edge(), timestampS: edge() };
      plantHostLease(harness, 3 + dice.below(3), some(lease));
    } else tear(harness, dice);
  }
}

/** Half of a sector is of another write than its other half. */
function tear(harness: ProcedureHarness, dice: Dice): void {
  const at = dice.below(10) * 512;
  for (let n = 256; n < 512; n += 8) harness.disks.resource[at + n - 128] = dice.below(256);
}

test('whatever is planted, two hosts never both hold the resource', (t) => {
  let grants = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const dice = new Dice(seed, 'hostile');
    const { harness, hosts } = race();
    plantAnything(harness, dice);
    const rules = { values: null, newNumHosts: null, tearing: 0.1 };
    const running = hosts.map(
      (host) => new SteppedHost(host, OURS, dice.fork(`${host.hostId}`), rules),
    );
    for (let event = 0; event < EVENTS; event++) {
      const stepped = running[dice.below(running.length)];
      assert.ok(stepped !== undefined);
      const before = stepped.claim;
      stepped.step();
      for (const each of running) each.tick();
      if (stepped.claim !== null && before === null) grants++;
      const claims = running.flatMap(({ claim }) => claim ?? []);
      const isSafe = claims.length < 2 || claims.every((claim) => claim === 'shared');
      assert.ok(isSafe, `seed ${seed}, event ${event}: ${claims.join(' beside ')}`);
    }
  }
  t.diagnostic(`${grants} grants`);
  assert.ok(grants > SEEDS, 'many areas are usable');
});
