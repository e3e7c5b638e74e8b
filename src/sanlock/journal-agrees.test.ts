import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dice } from '../sim/kernel/dice.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import type { Front } from './front.ts';
import { textsOfSpace, textsOfSurvivor } from './journal-lines.ts';
import { rewrite } from './journal-writer.ts';
import {
  type Claims,
  claimsOf,
  claimsRead,
  holderText,
  type LeaseClaim,
  registeredOf,
  registeredRead,
  survivorsRead,
} from './testing/claims.ts';
import { RandomFront } from './testing/random-front.ts';

const SEEDS = Number(process.env['JOURNAL_SEEDS'] ?? 1);
const STEPS = 1000;
/** A journal is read in a moment if it is short. */
const LONGEST = 60;

const KINDS = [
  ...[
    'closed',
    'config',
    'converts',
    'drops',
    'free',
    'given',
    'holds',
    'lease',
    'left',
    'lost',
    'lvb',
  ],
  ...['mode', 'registered', 'removal', 'renewed', 'shares', 'space', 'wants'],
];

/** Remembers each state of the file in one event: the daemon may be killed between two lines. */
class WatchedJournal extends MemoryJournal {
  cuts: (readonly string[])[] = [];

  override append(line: string): boolean {
    const isWritten = super.append(line);
    if (isWritten) this.cuts.push(this.load().lines);
    return isWritten;
  }

  override replace(lines: readonly string[]): boolean {
    const isWritten = super.replace(lines);
    if (isWritten) this.cuts.push(this.load().lines);
    return isWritten;
  }
}

function compacted(front: Front): string[] {
  const survivors = front.survivors.flatMap(textsOfSurvivor);
  return [...survivors, ...front.lockspaces.flatMap((space) => textsOfSpace(front, space))];
}

/** What the next daemon writes before it has changed anything. */
function handedOn(lines: readonly string[]): string[] {
  return [...survivorsRead(lines).values()].flatMap(textsOfSurvivor);
}

test('after each event the journal says what the front has, also when it is written anew', () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const journal = new WatchedJournal();
    const world = new RandomFront(new Dice(seed), journal);
    const { front } = world.harness;
    for (let n = 0; n < STEPS; n++) {
      const before = claimsOf(front);
      journal.cuts = [];
      const happened = world.step();
      const where = `seed ${seed}, event ${n}: ${happened}`;
      const after = claimsOf(front);
      const { lines } = journal.load();
      assert.deepEqual(claimsRead(lines), after, where);
      assert.deepEqual(registeredRead(lines), registeredOf(front), where);
      assert.deepEqual(claimsRead(compacted(front)), after, `written anew, ${where}`);
      assert.deepEqual(claimsRead(handedOn(lines)), after, `handed on, ${where}`);
      for (const cut of journal.cuts) checkCut(claimsRead(cut), before, after, where);
      for (const line of lines) kinds.add(/"kind":"([a-z]+)"/.exec(line)?.[1] ?? '');
      if (lines.length > LONGEST) rewrite(front);
    }
  }
  assert.deepEqual([...kinds].sort(), KINDS);
});

/** In the middle of an event each claim is as it was before, or as it is after the event. */
function checkCut(
  cut: ReadonlyMap<number, Claims>,
  before: ReadonlyMap<number, Claims>,
  after: ReadonlyMap<number, Claims>,
  where: string,
): void {
  for (const [id, { leases, wants }] of cut) {
    const [was, is] = [before.get(id), after.get(id)];
    for (const [number, lease] of leases) {
      const known = [was?.leases.get(number), is?.leases.get(number)].filter((one) => one);
      for (const [field, value] of Object.entries(lease)) {
        const values = known.map((one) => JSON.stringify(one?.[field as keyof LeaseClaim], text));
        // None knows it: it was granted, and released in the same moment.
        const isGone = is?.leases.has(number) !== true;
        const isEnding = isGone || known.some((one) => one && mayBecome(one, value));
        const isOf = field === 'orphaned' && isEnding;
        const isKnown = values.length === 0 || values.includes(JSON.stringify(value, text)) || isOf;
        // Several clients may come to a lease and go in one moment, or its release begin.
        const isReleased = is?.wants.has(number) === true;
        const mayPass = field === 'holders' || field === 'lastPid' || isReleased;
        assert.ok(isKnown || mayPass, `${field} is ${value}, ${where}`);
      }
    }
    for (const [number, lease] of was?.leases ?? []) {
      const isKept = is?.leases.has(number) === true;
      assert.ok(!isKept || leases.has(number), `${lease.place} is missing for a moment, ${where}`);
    }
    for (const [number, place] of was?.wants ?? []) {
      const isKept = is?.wants.has(number) === true;
      // It may be granted, and its release begin, in one moment.
      const isThere = wants.has(number) || leases.has(number);
      assert.ok(!isKept || isThere, `${place} is missing for a moment, ${where}`);
    }
  }
}

/** Its holders end in that moment: what becomes of it is what one of them asked for. */
function mayBecome({ holders }: LeaseClaim, orphaned: unknown): boolean {
  return holders.some((holder) => holder.endsWith('persistent') === orphaned);
}

function text(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value;
}

test('whatever cannot be written, each lease that a client was told of is in the journal', () => {
  let [behind, caughtUp] = [0, 0];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const dice = new Dice(seed, 'full');
    const journal = new MemoryJournal();
    const world = new RandomFront(new Dice(seed), journal);
    const { front } = world.harness;
    for (let n = 0; n < STEPS; n++) {
      const wasBehind = front.journalState.isBehind;
      journal.full = dice.chance(journal.full ? 0.9 : 0.05);
      world.harness.lines = [];
      const where = `seed ${seed}, event ${n}: ${world.step()}`;
      const { lines } = journal.load();
      const read = claimsRead(lines);
      const { isBehind } = front.journalState;
      if (isBehind) behind++;
      else assert.deepEqual(read, claimsOf(front), where);
      if (wasBehind && !isBehind) caughtUp++;
      const converted = world.harness.lines.flatMap((line) => CONVERTED.exec(line)?.[1] ?? []);
      checkTold(front, read, { converted, where });
      if (lines.length > LONGEST) rewrite(front);
    }
  }
  assert.ok(behind > 100 * SEEDS && caughtUp > 15 * SEEDS, `${behind} and ${caughtUp} times`);
});

/** The answer to a CONVERT, and its connection. */
const CONVERTED = /^c([0-9]+) answer 27: 0$/;

/** A client whose request is under way does not know yet what it is granted. */
function checkTold(
  front: Front,
  read: ReadonlyMap<number, Claims>,
  { converted, where }: { readonly converted: readonly string[]; readonly where: string },
): void {
  for (const client of front.clients.values()) {
    if (client.active !== 0) continue;
    const name = `${client.connection}`;
    for (const { resource, persistent } of client.tokens) {
      const lease = read.get(resource.lockspace.id)?.leases.get(resource.id);
      assert.ok(lease !== undefined, `${resource.name} is not in the journal, ${where}`);
      const holder = holderText(name, persistent);
      assert.ok(lease.holders.includes(holder), `${resource.name}, ${where}`);
      const mayBeShared = lease.shared || lease.converting === 'toShared';
      // A step up that can be neither recorded nor undone is refused: its client is a sharer.
      const isRefused = lease.converting === 'toExclusive' && !converted.includes(name);
      const isSame = resource.shared ? mayBeShared : !lease.shared || isRefused;
      assert.ok(isSame, `${resource.name} is held in another mode, ${where}`);
    }
  }
}

test('daemon after daemon: each reads what the one before it had', () => {
  let [handedOver, recovered] = [0, 0];
  for (let seed = 1; seed <= 2 * SEEDS; seed++) {
    const dice = new Dice(seed, 'restarts');
    const journal = new MemoryJournal();
    const world = new RandomFront(new Dice(seed, 'front'), journal);
    for (let n = 0; n < STEPS; n++) {
      const where = `seed ${seed}, event ${n}: ${world.step()}`;
      const { front, logged } = world.harness;
      const { lines } = journal.load();
      assert.deepEqual(claimsRead(lines), claimsOf(front), where);
      assert.deepEqual(claimsRead(compacted(front)), claimsOf(front), `anew, ${where}`);
      if (lines.length > LONGEST) rewrite(front);
      if (!dice.chance(0.01)) continue;
      handedOver += logged.filter((line) => line.includes('lockspace.handedOver')).length;
      recovered += logged.filter((line) => line.includes('leases.recovered')).length;
      world.restart(journal.load().lines);
    }
  }
  assert.ok(
    handedOver > 6 * SEEDS && recovered > 3 * SEEDS,
    `${handedOver} and ${recovered} times`,
  );
});
