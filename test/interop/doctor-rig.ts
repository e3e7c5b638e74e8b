import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Diagnosis } from '../../src/inspect/doctor/diagnosis.ts';
import type { Kind } from '../../src/inspect/doctor/kinds.ts';
import type { Host } from '../../src/rig/host.ts';
import type { Rig } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';

export const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const DOCTOR_MS = 400_000;
/** Its deadlines are some ten seconds each, on a machine with nothing else to do. */
const BESIDE_HUNG_MS = 150_000;
const MOST_TRIES = 3;
const LOG_LINES = 15;
const MOST_LOOKS = 3;

export interface Looked {
  readonly status: number | null;
  readonly findings: readonly Diagnosis[];
  readonly fixed: readonly { readonly does: string; readonly failure: string | null }[];
  /** What could not be looked at. */
  readonly unread: number;
}

/** A host of a rig, as `holdfast doctor` sees it. */
export class Patient {
  readonly rig: Rig;
  readonly host: Host;

  constructor(rig: Rig, host: Host) {
    this.rig = rig;
    this.host = host;
  }

  /** Under load something may not be read in time, which is told: then it looks again. */
  async looks(...args: readonly string[]): Promise<Looked> {
    for (let tries = 1; ; tries++) {
      const looked = await this.#look(...args);
      if (looked.unread === 0 || args.length > 0 || tries === MOST_TRIES) return looked;
    }
  }

  /** One look while the storage hangs: something is not read, and it ends all the same. */
  async looksBesideHung(): Promise<Looked> {
    const ended = this.#look();
    let timer: NodeJS.Timeout | null = null;
    const late = new Promise<never>((_, fail) => {
      const error = new Error(`${this.host.name}: holdfast doctor hangs with the storage`);
      timer = setTimeout(() => fail(error), BESIDE_HUNG_MS);
    });
    try {
      return await Promise.race([ended, late]);
    } finally {
      if (timer !== null) clearTimeout(timer);
      ended.catch(() => {}); // it may end when the rig does
    }
  }

  async #look(...args: readonly string[]): Promise<Looked> {
    const words = ['doctor', '--json', ...args];
    const ran = await this.host.run(join(ROOT, 'bin', 'holdfast'), words, DOCTOR_MS);
    const said = `${this.host.name}: holdfast ${words.join(' ')}: ${ran.stdout}${ran.stderr}`;
    assert.ok(ran.code === 0 || ran.code === 1, `${ran.code} ${said}`);
    const { schema, findings, fixed = [], unread } = JSON.parse(ran.stdout);
    assert.equal(schema, 'holdfast.doctor/1');
    return { status: ran.code, findings, fixed, unread: unread.length };
  }

  /** It finds each of these, with evidence, cause and plan. @returns them by kind */
  async finds(...kinds: readonly Kind[]): Promise<ReadonlyMap<string, Diagnosis>> {
    return this.found(await this.looks(), ...kinds);
  }

  /** What a look has found is all of these. @returns its findings by kind */
  found({ status, findings }: Looked, ...kinds: readonly Kind[]): ReadonlyMap<string, Diagnosis> {
    const found = new Map<string, Diagnosis>(findings.map((one) => [one.kind, one]));
    for (const kind of kinds) {
      const one = found.get(kind);
      assert.ok(one !== undefined, `${this.host.name}: ${kind} is found: ${told(findings)}`);
      assert.ok(one.evidence.length > 0 && one.cause !== '' && one.plan.length > 0, told([one]));
      if (one.weight !== 'note') assert.equal(status, 1, kind);
    }
    return found;
  }

  async tells(kind: Kind): Promise<boolean> {
    return (await this.looks()).findings.some((one) => one.kind === kind);
  }

  /** Looks until it finds that. */
  async comesToFind(kind: Kind, withinMs = 60_000): Promise<void> {
    const isFound = async () => (await this.looks()).findings.some((one) => one.kind === kind);
    await until(`${kind} on ${this.host.name}`, isFound, { withinMs, everyMs: 300 });
    await this.finds(kind);
  }

  /** Looks, also while other looks are under way, until each was found once: some pass soon. */
  async meets(...kinds: readonly Kind[]): Promise<void> {
    const left = new Set<string>(kinds);
    const underWay = new Set<Promise<void>>();
    const failures: unknown[] = [];
    const look = async (): Promise<void> => {
      try {
        for (const { kind } of (await this.looksBesideHung()).findings) left.delete(kind);
      } catch (failure) {
        failures.push(failure);
      }
    };
    const isMet = () => {
      if (failures.length > 0) throw failures[0];
      if (left.size > 0 && underWay.size < MOST_LOOKS) {
        const one: Promise<void> = look().finally(() => underWay.delete(one));
        underWay.add(one);
      }
      return left.size === 0;
    };
    const what = `${kinds.join(' and ')} on ${this.host.name}`;
    await until(what, isMet, { withinMs: 60_000, everyMs: 1000 });
    await Promise.all(underWay);
  }

  /** Does what a plan says to type, each until it is done. */
  async follows({ plan }: Diagnosis): Promise<void> {
    for (const step of plan) {
      if (step.kind !== 'manual' || step.command === null) continue;
      const words = ['-c', `PATH=${this.#ownPrograms()}:$PATH; ${step.command}`];
      const isDone = async () => (await this.host.run('/bin/sh', words)).code === 0;
      await until(`${this.host.name}# ${step.command}`, isDone, { withinMs: 60_000, everyMs: 500 });
    }
  }

  #ownPrograms(): string {
    return dirname(this.host.program('lvmlockctl'));
  }

  /** Nothing needs attention, but for kinds that the test has put up with. */
  async isWell(...but: readonly Kind[]): Promise<void> {
    const { status, findings } = await this.looks();
    const kinds: readonly string[] = but;
    const left = findings.filter(({ kind, weight }) => weight !== 'note' && !kinds.includes(kind));
    assert.deepEqual(left, [], `${this.host.name} is well`);
    if (but.length === 0) assert.equal(status, 0);
  }

  /** `--fix` does it, and that kind is found no more. */
  async fixes(kind: Kind, does: RegExp): Promise<void> {
    const { fixed, findings } = await this.looks('--fix');
    const done = fixed.find((one) => does.test(one.does));
    const what = `${kind}: ${JSON.stringify(fixed)} ${told(findings)}\n${this.#logs()}`;
    assert.equal(done?.failure, null, what);
    assert.ok(!findings.some((one) => one.kind === kind), `${kind} is fixed: ${what}`);
  }

  /** What its daemons said last. */
  #logs(): string {
    const logOf = (daemon: string) => {
      const path = join(this.rig.dir, this.host.name, 'log', `${daemon}.err`);
      const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
      return lines.slice(-LOG_LINES).map((line) => `${daemon}: ${line}`);
    };
    return ['sanlock', 'lvmlockd'].flatMap(logOf).join('\n');
  }

  /** Runs it with a shell of the host; it must end well. @returns what it printed */
  async shell(script: string): Promise<string> {
    const ran = await this.host.run('/bin/sh', ['-ec', script]);
    assert.equal(ran.code, 0, `${this.host.name}# ${script}\n${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  }

  /** Changes a file of lvm's configuration; what is returned puts the old text back. */
  editsLvm(file: 'lvm.conf' | 'lvmlocal.conf', edit: (text: string) => string): () => void {
    const path = join(this.rig.dir, this.host.name, 'etc', file);
    const before = readFileSync(path, 'utf8');
    writeFileSync(path, edit(before));
    return () => writeFileSync(path, before);
  }

  /** What this host writes to /etc from now on is its own. */
  async ownsEtc(): Promise<void> {
    await this.shell(`mkdir -p /run/etc && mount -t tmpfs tmpfs /run/etc
      mkdir /run/etc/upper /run/etc/work
      mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc`);
  }
}

function told(findings: readonly Diagnosis[]): string {
  return JSON.stringify(findings, null, 2);
}
