import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import type { Host } from '../../src/rig/host.ts';
import type { Rig } from '../../src/rig/rig.ts';

/** The program, whoever made the daemons of a host. */
export const HOLDFAST = join(resolve(process.env['HOLDFAST_ROOT'] ?? '.'), 'bin', 'holdfast');

/** Of one lease, what the JSON of `holdfast who` says, as far as tests look at it. */
interface Lease {
  readonly target: string;
  readonly mode: string;
  readonly holders: readonly {
    readonly hostName: string;
    readonly hostId: number;
    readonly mode: string;
    readonly liveness: string;
    readonly heldForS: number | null;
    readonly takeableAfterS: number | null;
    readonly takenBy: { readonly kind: string; readonly pid: number } | null;
  }[];
}

/** What that host is told, over the disk alone. */
export async function askWho(host: Host, ...words: readonly string[]): Promise<readonly Lease[]> {
  const { stdout, stderr, code } = await host.run(HOLDFAST, ['who', ...words, '--json']);
  assert.ok(code !== 2, `${host.name}: who ${words.join(' ')}: ${stderr}`);
  return JSON.parse(stdout).leases;
}

/** `ex host-1 alive lvm`: the last word is who took it; of a host with the original `-`. */
export function holdersText({ holders }: Lease): string {
  const texts = holders.map(({ hostName, mode, liveness, takenBy }) => {
    const word = mode === 'exclusive' ? 'ex' : 'sh';
    return `${word} ${hostName} ${liveness} ${takenBy?.kind ?? '-'}`;
  });
  return texts.join(', ') || 'free';
}

/** Who has an LV, as `asker` is told: hosts in the order of their ids. */
export async function hasLv(
  rig: Rig,
  asker: Host,
  of: { readonly holders: readonly Host[]; readonly mode: 'ex' | 'sh'; readonly now?: true },
): Promise<void> {
  const { holders, mode, now = false } = of;
  const [lease] = await askWho(asker, `${rig.vg}/lv1`, ...(now ? ['--now'] : []));
  assert.ok(lease !== undefined);
  const liveness = now ? 'not watched' : 'alive';
  const wanted = holders.map(({ name, makers }) => {
    // sanlock writes the note, for lvmlockd of either maker.
    return `${mode} ${name} ${liveness} ${makers.sanlock === 'ours' ? 'lvm' : '-'}`;
  });
  assert.equal(holdersText(lease), wanted.join(', ') || 'free', `as ${asker.name} is told`);
  for (const { heldForS } of lease.holders) assert.ok(heldForS !== null, 'since when is known');
}

/** A VG: its lock is free between two commands, and each LV has its line. */
export async function listsVg(rig: Rig, asker: Host, lv1: string): Promise<void> {
  const leases = await askWho(asker, rig.vg, '--now');
  const said = new Map(leases.map((lease) => [lease.target, holdersText(lease)]));
  assert.equal(said.get(`${rig.vg}/lv1`), lv1);
  assert.equal(said.get(`${rig.vg}: the VG lock`), 'free');
  assert.equal(said.get(`${rig.vg}: the global lock`), 'free');
}

/** A host has lost its power: it is never said to live, and then it holds nothing. */
export async function isNotAlive(rig: Rig, asker: Host, dead: Host): Promise<void> {
  const [lease] = await askWho(asker, `${rig.vg}/lv1`);
  for (const { hostName, liveness } of lease?.holders ?? []) {
    assert.ok(hostName !== dead.name || liveness !== 'alive', `${dead.name} is said to be alive`);
  }
}
