import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../src/rig/host.ts';
import type { Rig } from '../../src/rig/rig.ts';
import { pause } from '../../src/rig/run.ts';
import type { Dice } from '../../src/sim/kernel/dice.ts';
import type { Verdict } from './verdict.ts';
import { monotonicMs } from './watchdog-watch.ts';

/** LVs: exclusive on host 1, on host 2; shared on both; taken in turns. */
export const LVS = { first: 'lv1', second: 'lv2', shared: 'lvs', turns: 'lvt' } as const;
/** An lvm command that takes longer hangs: a row of outages may cost it minutes. */
const HANGS_MS = 300_000;

export async function makeVolumes(rig: Rig): Promise<void> {
  const [a, b] = [rig.host(1), rig.host(2)];
  await a.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
  await b.mustLvm('vgchange', '--lockstart', rig.vg);
  for (const name of Object.values(LVS)) {
    await a.mustLvm('lvcreate', '-an', '-L', '8m', '-n', name, rig.vg);
  }
  await a.mustLvm('lvchange', '-aey', `${rig.vg}/${LVS.first}`);
  await b.mustLvm('lvchange', '-aey', `${rig.vg}/${LVS.second}`);
  for (const host of rig.hosts) await host.mustLvm('lvchange', '-asy', `${rig.vg}/${LVS.shared}`);
}

/** What of `lvmlockctl -i` shows that a host has its locks: 'LK LV ex <uuid>'. */
export async function locksOf(rig: Rig, host: Host): Promise<readonly string[]> {
  const own = host.hostId === 1 ? LVS.first : LVS.second;
  const uuid = async (name: string) =>
    (await host.mustLvm('lvs', '--noheadings', '-o', 'lv_uuid', `${rig.vg}/${name}`)).trim();
  return [`LK LV ex ${await uuid(own)}`, `LK LV sh ${await uuid(LVS.shared)}`];
}

export interface LvmFigures {
  /** By lvm commands that must be refused. */
  refused: number;
  /** Commands that failed while daemons were away. */
  failed: number;
  done: number;
  longestMs: number;
}

/** Works with the VG on both hosts until `isOver`; each loop of its own. */
export class LvmUsers {
  readonly figures: LvmFigures = { refused: 0, failed: 0, done: 0, longestMs: 0 };
  readonly #rig: Rig;
  readonly #verdict: Verdict;
  readonly #isOver: () => boolean;
  readonly #counter: string;
  readonly #steps: string;

  constructor(rig: Rig, of: { readonly verdict: Verdict; readonly isOver: () => boolean }) {
    this.#rig = rig;
    this.#verdict = of.verdict;
    this.#isOver = of.isOver;
    this.#counter = join(rig.dir, 'lv-counter');
    this.#steps = join(rig.dir, 'lv-steps');
    writeFileSync(this.#counter, '0');
  }

  async run(dice: Dice): Promise<void> {
    const { hosts } = this.#rig;
    await Promise.all([
      this.#loop(() => this.#steal(this.#rig.host(2), LVS.first), dice),
      this.#loop(() => this.#steal(this.#rig.host(1), LVS.second), dice),
      ...hosts.map((host) => this.#loop(() => this.#count(host), dice)),
      ...hosts.map((host, n) => this.#loop((turn) => this.#tag(host, turn + n), dice)),
    ]);
  }

  /** Steps under the lock of the LV that is taken in turns: no value was counted twice. */
  checkSteps(): number {
    const text = existsSync(this.#steps) ? readFileSync(this.#steps, 'utf8') : '';
    const values = text.split('\n').filter(Boolean).map(Number);
    if (new Set(values).size !== values.length) {
      this.#verdict.fail('a step under the lock of an LV was lost: two hosts had it at once');
    }
    return values.length;
  }

  async #loop(turn: (n: number) => Promise<void>, dice: Dice): Promise<void> {
    for (let n = 0; !this.#isOver(); n++) {
      await turn(n);
      await pause(dice.between(200, 2500));
    }
  }

  async #lvm(host: Host, ...words: readonly string[]): Promise<boolean> {
    const ran = await host.run('/usr/sbin/lvm', words, HANGS_MS);
    const { longestMs } = this.figures;
    this.figures.longestMs = Math.max(longestMs, ran.ms);
    // One that a dead lvmlockd ends by SIGPIPE has no status either.
    if (ran.ms >= HANGS_MS) {
      this.#verdict.fail(`lvm ${words.join(' ')} on ${host.name} hung for ${HANGS_MS / 1000} s`);
    }
    return ran.code === 0;
  }

  async #steal(host: Host, lv: string): Promise<void> {
    const name = `${this.#rig.vg}/${lv}`;
    for (const mode of ['-aey', '-asy']) {
      const startedMs = monotonicMs();
      if (await this.#lvm(host, 'lvchange', mode, name)) {
        const when = `between ${Math.round(startedMs)} and ${Math.round(monotonicMs())} ms`;
        this.#verdict.fail(`${host.name} activated ${name}, which the other host has, ${when}`);
      }
      this.figures.refused++;
    }
  }

  async #count(host: Host): Promise<void> {
    const name = `${this.#rig.vg}/${LVS.turns}`;
    if (!(await this.#lvm(host, 'lvchange', '-aey', name))) {
      this.figures.failed++;
      return;
    }
    for (let n = 0; n < 5; n++) {
      const value = Number(readFileSync(this.#counter, 'utf8')) + 1;
      await pause(20);
      writeFileSync(this.#counter, `${value}`);
      appendFileSync(this.#steps, `${value}\n`);
    }
    this.figures.done++;
    while (!(await this.#lvm(host, 'lvchange', '-an', name))) {
      this.figures.failed++;
      if (this.#isOver()) return;
      await pause(200);
    }
  }

  /** Under the VG lock. */
  async #tag(host: Host, turn: number): Promise<void> {
    const word = turn % 2 === 0 ? '--addtag' : '--deltag';
    const isDone = await this.#lvm(host, 'vgchange', word, `of-${host.name}`, this.#rig.vg);
    if (isDone) this.figures.done++;
    else this.figures.failed++;
  }
}
