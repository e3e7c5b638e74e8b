import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import { buildSync } from 'esbuild';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import type { Counts } from './count-resources.ts';
import { cpuTicks } from './proc-stat.ts';
import { killAtExit, removeRunFolder, serves } from './sanlock-daemons.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const DESCRIPTOR_LIMIT = 4096;
const START_MS = 60_000;
const SETTLE_MS = 30_000;
/** Its log of one mebibyte may fill meanwhile, and compiled code comes and goes. */
const HEAP_NOISE_BYTES = 2 * MIB;
const TICK_MS = 10; // of /proc's processor times

export interface AllCounts extends Counts {
  readonly descriptors: number;
}

/** A daemon of ours that can be asked what it has open and what it keeps in memory. */
export class CountedDaemon {
  /** A folder of its own, removed with it. */
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #reports: Interface;
  #log = '';

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory;
    this.#child = child;
    this.#reports = createInterface({ input: child.stdio[3] as Readable });
    child.stderr?.on('data', (bytes: Buffer) => {
      this.#log = (this.#log + bytes.toString('latin1')).slice(-20_000);
    });
  }

  /**
   * @param of.program 'sanlock-daemon', 'lvmlockd' or 'wdmd', as in dist; in the foreground.
   * @param of.socket whose answer shows that it serves; `args` and `env` may depend on the folder.
   */
  static async start(of: {
    readonly program: string;
    readonly args: (directory: string) => readonly string[];
    readonly env: (directory: string) => NodeJS.ProcessEnv;
    readonly socket: (directory: string) => string;
    readonly descriptorLimit?: number;
  }): Promise<CountedDaemon> {
    const directory = mkdtempSync('/var/tmp/holdfast-counted-');
    const hook = join(directory, 'count-resources.cjs');
    buildSync({
      entryPoints: [join(ROOT, 'test/interop/count-resources.ts')],
      outfile: hook,
      bundle: true,
      platform: 'node',
      format: 'cjs',
    });
    const program = join(ROOT, 'dist', `${of.program}.cjs`);
    const node = [process.execPath, '--expose-gc', '--require', hook, program];
    const limit = of.descriptorLimit ?? DESCRIPTOR_LIMIT;
    const args = [`--nofile=${limit}:${limit}`, ...node, ...of.args(directory)];
    const child = spawn('prlimit', args, {
      env: { ...process.env, ...of.env(directory) },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    killAtExit(child);
    const daemon = new CountedDaemon(directory, child);
    const socket = of.socket(directory);
    try {
      await until(`an answer of ${of.program}`, () => serves(socket), { withinMs: START_MS });
    } catch (error) {
      await daemon.stop();
      throw new Error(`${error}\n${daemon.log()}`);
    }
    return daemon;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  log(): string {
    return this.#log;
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Processor time of all its threads so far. */
  cpuMs(): number {
    return cpuTicks(this.pid) * TICK_MS;
  }

  async counts(): Promise<AllCounts> {
    const report = once(this.#reports, 'line');
    this.#child.kill('SIGUSR2');
    const [line] = await report;
    return { ...(JSON.parse(String(line)) as Counts), descriptors: this.descriptors() };
  }

  /** Waits until there is no more of anything than before; the heap may have grown by noise. */
  async isBackAt(before: AllCounts): Promise<void> {
    let left: readonly string[] = [];
    const settled = async () => {
      left = moreThan(before, await this.counts());
      return left.length === 0;
    };
    try {
      await until('the counts of before', settled, { withinMs: SETTLE_MS, everyMs: 200 });
    } catch {
      assert.fail(`left open: ${left.join(', ')}\n${this.#log}`);
    }
  }

  async stop(): Promise<void> {
    this.#reports.close();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.ref();
      this.#child.kill('SIGKILL');
      await gone;
    }
    await removeRunFolder(this.directory);
  }
}

function moreThan(before: AllCounts, now: AllCounts): readonly string[] {
  const rows: (readonly [string, number, number])[] = [
    ['descriptors', before.descriptors, now.descriptors],
    ['listeners', before.listeners, now.listeners],
    ['heap bytes', before.heapBytes + HEAP_NOISE_BYTES, now.heapBytes],
  ];
  for (const [name, count] of Object.entries(now.active)) {
    rows.push([name, before.active[name] ?? 0, count]);
  }
  return rows
    .filter(([, atMost, found]) => found > atMost)
    .map(([name, atMost, found]) => `${found} ${name} where ${atMost} were`);
}

/** Its socket is `sanlock.sock` in its folder. */
export function startCountedSanlock(descriptorLimit = DESCRIPTOR_LIMIT): Promise<CountedDaemon> {
  return CountedDaemon.start({
    program: 'sanlock-daemon',
    args: () => ['-D', '-w', '0', '-U', 'root', '-G', 'root', '-e', 'host1'],
    env: (directory) => ({ SANLOCK_RUN_DIR: directory, SANLOCK_PRIVILEGED: '0' }),
    socket: (directory) => `${directory}/sanlock.sock`,
    descriptorLimit,
  });
}
