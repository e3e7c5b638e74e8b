import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingConnection } from './blocking-client.ts';
import { entries, text } from './proc-files.ts';

const START_DEADLINE_MS = 10_000;
const STOP_LOOK_MS = 10;
const STOP_LOOKS = 500;

/** How to start a daemon under test; `{host}` stands for its host name. */
export interface DaemonKind {
  readonly label: string;
  readonly command: readonly string[];
  /** Its own command line, to be followed by `client`. */
  readonly client: readonly string[];
  /** Besides what every daemon here gets. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Memory {
  readonly pssKb: number;
  /** Of no other process: what is shared does not grow with one more. */
  readonly privateKb: number;
  readonly rssKb: number;
  readonly processes: number;
}

/** A running daemon with a run directory of its own. */
export class Daemon {
  readonly kind: DaemonKind;
  readonly socketPath: string;
  /** From spawn to an accepting socket. */
  readonly startMs: number;
  readonly runDir: string;
  readonly #process: ChildProcess;

  private constructor(kind: DaemonKind, runDir: string, child: ChildProcess, startMs: number) {
    this.kind = kind;
    this.runDir = runDir;
    this.socketPath = join(runDir, 'sanlock.sock');
    this.#process = child;
    this.startMs = startMs;
  }

  static async start(kind: DaemonKind, hostName: string): Promise<Daemon> {
    const runDir = mkdtempSync('/tmp/holdfast-bench-');
    const [program = '', ...args] = kind.command.map((word) => word.replace('{host}', hostName));
    const stderr = openSync(join(runDir, 'stderr'), 'w');
    const startMs = performance.now();
    const child = spawn(program, args, {
      env: { ...process.env, ...kind.env, SANLOCK_RUN_DIR: runDir, SANLOCK_PRIVILEGED: '0' },
      stdio: ['ignore', 'ignore', stderr],
    });
    closeSync(stderr);
    while (!accepts(join(runDir, 'sanlock.sock'))) {
      if (child.exitCode !== null || performance.now() - startMs > START_DEADLINE_MS) {
        child.kill('SIGKILL');
        const said = readFileSync(join(runDir, 'stderr'), 'utf8').slice(-500);
        rmSync(runDir, { recursive: true, force: true });
        throw new Error(`${kind.label}: the daemon did not start: ${said}`);
      }
      await sleep(5);
    }
    return new Daemon(kind, runDir, child, performance.now() - startMs);
  }

  /** The daemon and all its descendants. */
  pids(): readonly number[] {
    const found: number[] = [];
    const open = [this.#process.pid ?? -1];
    for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
      found.push(pid);
      for (const tid of entries(`/proc/${pid}/task`)) {
        const children = text(`/proc/${pid}/task/${tid}/children`).trim();
        if (children !== '') open.push(...children.split(' ').map(Number));
      }
    }
    return found;
  }

  /** Time all its threads have spent on a processor. */
  cpuMs(): number {
    let ns = 0;
    for (const pid of this.pids()) {
      for (const tid of entries(`/proc/${pid}/task`)) {
        ns += Number(text(`/proc/${pid}/task/${tid}/schedstat`).split(' ')[0]);
      }
    }
    return ns / 1e6;
  }

  memory(): Memory {
    let pssKb = 0;
    let privateKb = 0;
    let rssKb = 0;
    const pids = this.pids();
    for (const pid of pids) {
      const rollup = text(`/proc/${pid}/smaps_rollup`);
      pssKb += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
      for (const [, kb] of rollup.matchAll(/^Private_\w+:\s+(\d+)/gm)) privateKb += Number(kb);
      rssKb += Number(/^Rss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    }
    return { pssKb, privateKb, rssKb, processes: pids.length };
  }

  /** A daemon with a lockspace refuses SIGTERM, as it must. */
  stop(): void {
    const [, ...others] = this.pids();
    this.#process.kill('SIGKILL');
    // Its lease processes end a moment later, and leave a record there: rmSync would meet it.
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let n = 0; n < STOP_LOOKS && others.some((pid) => existsSync(`/proc/${pid}`)); n++) {
      Atomics.wait(pause, 0, 0, STOP_LOOK_MS);
    }
    rmSync(this.runDir, { recursive: true, force: true });
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function accepts(path: string): boolean {
  try {
    new BlockingConnection(path).close();
    return true;
  } catch {
    return false;
  }
}
