import { type TestContext, test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { LifeHost, type Seat, Transcript, whyNoLife } from './life-host.ts';
import { type BlankDisk, type Equipment, Machines } from './vm.ts';

/** The hosts, by their host ids; `three` is absent where a test has two. */
export interface Hosts {
  readonly one: LifeHost;
  readonly two: LifeHost;
  readonly three: LifeHost | undefined;
}

/** One promise to administrators, in their words. */
export interface Check {
  readonly name: string;
  readonly run: (hosts: Hosts) => Promise<void>;
}

export interface Ground {
  /** Whose programs each host has; two or three. */
  readonly seats: readonly [Seat, Seat, Seat?];
  readonly ioTimeoutS: number;
  /** Shared by all hosts: `/dev/vda`, then `/dev/vdb` and up. */
  readonly diskMib: number;
  readonly moreDisks: readonly BlankDisk[];
  /** Only where the whole life is asked for. */
  readonly isLong?: boolean;
  /** What else the machines have. */
  readonly equipment?: Omit<Equipment, 'moreDisks'>;
  /** Why this test cannot be run here, beside what any such test needs; null: it can. */
  readonly obstacle?: string | null;
}

const TEST_DEADLINE_MS = 1_200_000;
/** Twenty VGs and 500 LVs, where they are asked for, are made in this time. */
const LONG_TEST_DEADLINE_MS = 5_400_000;
const CONSOLE_SHOWN = 6000;

/** For the checks of `life-of-a-vg.ts` and `life-of-lvs.ts`. */
export const ONE_VG = {
  ioTimeoutS: 4,
  diskMib: 1024,
  moreDisks: [512, 320, 64].map((mib) => blankDisk(mib)),
} as const;

/**
 * An emulated machine is far slower than a host of the rig: what needs no device-mapper is tried
 * there, too, and here only when it is asked for.
 */
const IS_WHOLE = process.env['HOLDFAST_VM_LIFE'] === 'whole';
const ONLY_WHOLE = 'takes long: HOLDFAST_VM_LIFE=whole runs it';

export function ofWholeLife(checks: readonly Check[]): readonly Check[] {
  return IS_WHOLE ? checks : [];
}

export function blankDisk(mib: number, sectorBytes: BlankDisk['sectorBytes'] = 512): BlankDisk {
  return { bytes: mib * MIB, sectorBytes };
}

/**
 * Boots the machines and makes the checks in turn: each builds on what the ones before it left, so
 * after the first that fails the others are left out.
 */
export function testHosts(name: string, ground: Ground, checks: readonly Check[]): void {
  const isLeftOut = ground.isLong === true && !IS_WHOLE;
  const missing = (isLeftOut ? ONLY_WHOLE : null) ?? whyNoLife() ?? ground.obstacle ?? null;
  const deadlineMs = ground.isLong === true ? LONG_TEST_DEADLINE_MS : TEST_DEADLINE_MS;
  const where = missing === null ? { timeout: deadlineMs } : { skip: missing };
  test(name, where, async (t) => {
    const { seats, moreDisks, diskMib, equipment } = ground;
    const of = { ...equipment, moreDisks };
    const machines = await Machines.start(seats.length, diskMib * MIB, of);
    try {
      const transcript = new Transcript();
      const hosts = machines.machines.map((machine, index) => {
        const seat = seats[index] ?? 'ours';
        return new LifeHost(machine, { hostId: index + 1, seat, transcript });
      });
      await Promise.all(hosts.map((host) => host.start(ground.ioTimeoutS)));
      const [one, two, three] = hosts as [LifeHost, LifeHost, LifeHost?];
      await inTurn(t, { one, two, three }, checks);
    } finally {
      await machines.close();
    }
  });
}

async function inTurn(t: TestContext, hosts: Hosts, checks: readonly Check[]): Promise<void> {
  let failed: string | null = null;
  for (const { name, run } of checks) {
    await t.test(name, async (check) => {
      if (failed !== null) return check.skip(`not reached: "${failed}" failed`);
      const { transcript } = hosts.one;
      const from = transcript.length;
      try {
        await run(hosts);
      } catch (error) {
        failed = name;
        const shown = [`what was done:\n${transcript.since(from)}`];
        for (const host of [hosts.one, hosts.two, hosts.three]) {
          if (host === undefined) continue;
          const console = host.machine.console().slice(-CONSOLE_SHOWN);
          shown.push(`console of ${host.machine.name}:\n${console}`);
        }
        for (const line of shown.join('\n').split('\n')) check.diagnostic(printable(line));
        throw error;
      }
    });
  }
}

/** The shell on a console moves its cursor. */
function printable(line: string): string {
  return line.replaceAll(/[^\x20-\x7e]/g, '').trimEnd();
}
