import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import type { Host } from '../../src/rig/host.ts';
import { until } from '../../src/rig/run.ts';
import type { Places } from './places.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const PYTHON = '/usr/bin/python3';
const READY_MS = 60_000;
const KILLED_MS = 20_000;

/** A line of a user's log. */
export interface UserEvent {
  readonly word: string;
  /** CLOCK_MONOTONIC milliseconds. */
  readonly ms: number;
  readonly value: string;
}

/** A process on a host that uses leases, and what it has written down so far. */
export class User {
  readonly name: string;
  readonly host: Host;
  readonly events: UserEvent[] = [];
  /** The leases that it counts under. */
  readonly counts: readonly string[];
  /** When it made its last step under each lease. */
  readonly lastStepMs = new Map<string, number>();
  readonly #log: string;
  readonly #child: ChildProcess;
  #readTo = 0;

  constructor(
    host: Host,
    of: {
      readonly name: string;
      readonly dir: string;
      readonly counts?: readonly string[];
      /** Its program and arguments, given the path of its log. */
      readonly words: (log: string) => readonly string[];
    },
  ) {
    this.name = `${of.name} on ${host.name}`;
    this.host = host;
    this.counts = of.counts ?? [];
    this.#log = join(of.dir, `${host.name}-${of.name}.events`);
    const [program = '', ...args] = of.words(this.#log);
    this.#child = host.spawn(program, args, ['ignore', 'ignore', 'inherit']);
  }

  /** nsenter becomes the program that it starts. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** How it ended, in words. */
  get end(): string {
    return this.#child.signalCode ?? `status ${this.#child.exitCode}`;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await until(`the end of ${this.name}`, () => !this.isAlive, { withinMs: KILLED_MS });
    this.read();
  }

  /** Reads what its log has more. A line that is being written waits for its end. */
  read(): void {
    if (!existsSync(this.#log)) return;
    const file = openSync(this.#log, 'r');
    try {
      const bytes = Buffer.alloc(fstatSync(file).size - this.#readTo);
      readSync(file, bytes, 0, bytes.length, this.#readTo);
      const end = bytes.lastIndexOf('\n') + 1;
      this.#readTo += end;
      for (const line of bytes.toString('latin1', 0, end).split('\n')) {
        const [word = '', ms, ...value] = line.split(' ');
        if (word !== '') this.#took({ word, ms: Number(ms), value: value.join(' ') });
      }
    } finally {
      closeSync(file);
    }
  }

  #took(event: UserEvent): void {
    this.events.push(event);
    if (event.word === 'step') this.lastStepMs.set(this.leaseOf(event), event.ms);
  }

  /** Under which lease a step was; the library's counters have one. */
  leaseOf({ value }: UserEvent): string {
    const end = value.indexOf('=');
    return end < 0 ? (this.counts[0] ?? '') : value.slice(0, end);
  }

  saying(word: string): readonly UserEvent[] {
    return this.events.filter((event) => event.word === word);
  }

  async says(word: string, withinMs = READY_MS): Promise<void> {
    const isSaid = () => {
      if (!this.isAlive) throw new Error(`${this.name} has ended: ${this.end}`);
      this.read();
      return this.saying(word).length > 0;
    };
    await until(`${this.name} to be ${word}`, isSaid, { withinMs });
  }
}

function script(name: string): string {
  return join(ROOT, 'test/soak', name);
}

/** Counts under a lease with the library of the original, over restarts. */
export function pythonCounter(
  host: Host,
  places: Places,
  of: { readonly lease: string; readonly number: number; readonly seed: string },
): User {
  const { device, lockspace } = places;
  const name = `counter-${of.lease}-${of.number}`;
  const at = [`${places.leaseAt(of.lease)}`, `${places.counterAt(of.lease)}`];
  return new User(host, {
    name,
    dir: places.dir,
    counts: [of.lease],
    words: (log) => [
      PYTHON,
      script('restart_counter.py'),
      ...[lockspace, of.lease, device, ...at, log, `${of.seed}/${host.name}/${name}`],
    ],
  });
}

/** Counts with our own client, by three connections of one process; `leases` in their order. */
export function ownCounter(
  host: Host,
  places: Places,
  of: { readonly leases: readonly [string, string, string]; readonly seed: string },
): User {
  const bundle = join(places.dir, 'restart-client.cjs');
  if (!existsSync(bundle)) {
    buildSync({
      entryPoints: [join(ROOT, 'test/soak/restart-client.ts')],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['koffi'],
    });
  }
  const at = of.leases.map((name) => `${name}:${places.leaseAt(name)}:${places.counterAt(name)}`);
  return new User(host, {
    name: 'own-counter',
    dir: places.dir,
    counts: of.leases,
    words: (log) => [
      'env',
      `NODE_PATH=${join(ROOT, 'node_modules')}`,
      process.execPath,
      bundle,
      ...['/run/sanlock/sanlock.sock', places.lockspace, places.device, log],
      ...[`${of.seed}/${host.name}`, ...at],
    ],
  });
}

/** Tries to acquire what another host holds. */
export function thief(host: Host, places: Places, lease: string): User {
  const at = `${lease}:${places.leaseAt(lease)}`;
  return new User(host, {
    name: `thief-${lease}`,
    dir: places.dir,
    words: (log) => [PYTHON, script('thief.py'), places.lockspace, places.device, log, at],
  });
}

/** A process that others acquire leases for, as libvirt does for a guest. */
export async function guest(host: Host, places: Places, name: string): Promise<User> {
  const user = new User(host, {
    name,
    dir: places.dir,
    words: (log) => [PYTHON, script('guest.py'), log, places.killpath],
  });
  await user.says('ready');
  return user;
}
