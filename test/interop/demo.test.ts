import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileBehind } from '../../src/rig/lun.ts';
import { rigObstacle } from '../../src/rig/rig.ts';
import { run, until } from '../../src/rig/run.ts';

const BIN = join(process.env['HOLDFAST_ROOT'] ?? '.', 'bin');
const HOLDFAST = join(BIN, 'holdfast');
const NOBODY = 65534;
const WHOLE_MS = 400_000;
const skip = rigObstacle() ?? false;

/** A demo in a foreground group of its own, as a terminal would run it. */
class Demo {
  readonly child: ChildProcess;
  text = '';
  #ended: number | null = null;

  constructor(
    program: string,
    args: readonly string[],
    of: { cwd?: string; runDir?: string } = {},
  ) {
    const { cwd = tmpdir(), runDir } = of;
    const env = runDir === undefined ? process.env : inRunDir(runDir);
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    this.child = spawn(program, args, { cwd, env, detached: true, stdio: [...stdio] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (bytes) => {
        this.text += bytes;
      });
    }
    this.child.on('close', (code) => {
      this.#ended = code ?? -1;
    });
  }

  async says(what: string): Promise<void> {
    const said = () => this.#ended !== null || this.text.includes(what);
    await until(`"${what}"`, said, { withinMs: WHOLE_MS, everyMs: 20 });
    assert.ok(this.text.includes(what), `the demo ended before "${what}":\n${this.text}`);
  }

  /** To all of the group, as a terminal does; npm, or an impatient user, does so twice. */
  ctrlC(): void {
    for (let i = 0; i < 2; i++) process.kill(-(this.child.pid ?? 0), 'SIGINT');
  }

  /** After a failed test it may be running. */
  async takenDown(): Promise<void> {
    if (this.#ended === null) this.ctrlC();
    await this.status();
  }

  async status(): Promise<number | null> {
    await until('the end of the demo', () => this.#ended !== null, { withinMs: WHOLE_MS });
    return this.#ended;
  }
}

/** Demos with lvm run one at a time in each of these. */
function inRunDir(runDir: string): NodeJS.ProcessEnv {
  return { ...process.env, HOLDFAST_RUN_DIR: runDir };
}

async function withRunDir(
  use: (start: (...args: readonly string[]) => Demo, runDir: string) => Promise<void>,
): Promise<void> {
  const runDir = await mkdtemp(join(tmpdir(), 'holdfast-demo-run-'));
  const demos: Demo[] = [];
  const start = (...args: readonly string[]) => {
    const demo = new Demo(HOLDFAST, args, { runDir });
    demos.push(demo);
    return demo;
  };
  try {
    await use(start, runDir);
    assert.deepEqual(readdirSync(runDir), [], 'no note and no lock');
  } finally {
    for (const demo of demos) await demo.takenDown();
    await rm(runDir, { recursive: true, force: true });
  }
}

/** The folder in which a demo with lvm keeps everything. */
async function folderOf(demo: Demo): Promise<string> {
  await demo.says(' is the LUN');
  const image = await fileBehind(/(\/dev\/loop\d+) is the LUN/.exec(demo.text)?.[1] ?? '');
  assert.ok(image !== null, demo.text);
  return dirname(image);
}

/** Processes with the demo's folder among their arguments. */
function processesOf(dir: string): string[] {
  const mentions = (pid: string) => {
    try {
      return ['environ', 'cmdline'].some((file) =>
        readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(dir),
      );
    } catch {
      return false; // ended meanwhile
    }
  };
  return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && mentions(entry));
}

async function assertNothingLeft(dir: string): Promise<void> {
  assert.deepEqual(processesOf(dir), [], 'processes');
  const devices = await run('losetup', ['-a']);
  assert.ok(!devices.stdout.includes(dir), devices.stdout);
  assert.ok(!existsSync(dir), dir);
}

/**
 * Of a demo that was played: each host's view, and what the survivors saw of the one that died. A
 * page is some seconds behind.
 */
async function assertPageTells(page: string): Promise<void> {
  const wanted = [
    [0, /^holdfast_daemon_up\{daemon="sanlock"\} 0$/m],
    ...[1, 2].flatMap((view) =>
      [
        /^holdfast_lockspace_joined\{lockspace="lvm_vg_demo"\} 1$/m,
        /^holdfast_host_live\{lockspace="lvm_vg_demo",.*host="alpha"\} 0$/m,
        /^holdfast_events_total\{kind="hostDead"\} 1$/m,
      ].map((line) => [view, line] as const),
    ),
    [1, /^holdfast_events_total\{kind="leaseRefused"\} [1-9]/m],
    [2, /^holdfast_events_total\{kind="lvTakenOver"\} 1$/m],
    [2, /^holdfast_lvs\{vg="vg_demo",held="ex"\} 1$/m],
  ] as const;
  for (const [view, line] of wanted) {
    const isTold = async () => {
      const answer = await fetch(`${page}metrics?view=${view}`);
      return line.test(await answer.text());
    };
    await until(`view ${view}: ${line}`, isTold, { withinMs: 60_000, everyMs: 200 });
  }
}

describe('holdfast demo', { concurrency: true }, () => {
  test('the whole demo, a command in a host, then Ctrl-C: nothing is left', { skip }, async () => {
    await withRunDir(async (start, runDir) => {
      const env = { ...inRunDir(runDir), SHELL: '/usr/bin/hostname' };
      const demo = start('demo');
      const dir = await folderOf(demo);
      await demo.says('Ctrl-C here takes everything down');
      assert.match(demo.text, /LV locked by other host: vg_demo\/data/);
      assert.match(demo.text, /exclusive: alpha \(host id 1, generation 1\) is alive/);
      assert.match(demo.text, /gamma has it: one volume, one writer/);
      assert.match(demo.text, /alpha \(1\) (dead|fail) for \d+ s {3}beta \(2\) here/, 'status');
      const isExplained =
        /nothing resets this host[\s\S]*It wants a watchdog: hosts of the demo have none/;
      assert.match(demo.text, isExplained, 'what needs attention in the demo alone');
      assert.match((await run(HOLDFAST, ['rig', 'status'], { env })).stdout, /host 2 {2}beta/);
      const inside = await run(HOLDFAST, ['rig', 'enter', '2'], { env });
      assert.equal(inside.stdout, 'beta\n');
      const page = /In a browser, as it happens: (http:\/\/localhost:\d+\/)\n/.exec(demo.text)?.[1];
      await assertPageTells(page ?? '');
      demo.ctrlC();
      assert.equal(await demo.status(), 0, demo.text);
      assert.match(demo.text, /Everything is taken down: [^\n]*\n$/);
      await assertNothingLeft(dir);
      await assert.rejects(fetch(page ?? ''), 'the page is gone');
    });
  });

  for (const [at, what] of [
    [' is the LUN', 'while daemons start'],
    ['lvcreate', 'during an lvm command'],
    ['protected for another ', 'during the safe time'],
  ] as const) {
    test(`Ctrl-C ${what}: nothing is left`, { skip }, async () => {
      await withRunDir(async (start) => {
        const demo = start('demo');
        const dir = await folderOf(demo);
        await demo.says(at);
        demo.ctrlC();
        assert.equal(await demo.status(), 0, demo.text);
        assert.match(demo.text, /Everything is taken down: [^\n]*\n$/);
        await assertNothingLeft(dir);
      });
    });
  }

  test('a second demo is refused while one runs, and leaves it alone', { skip }, async () => {
    await withRunDir(async (start) => {
      const first = start('demo');
      const dir = await folderOf(first);
      const second = start('demo', '--once');
      assert.equal(await second.status(), 2, second.text);
      assert.match(
        second.text,
        new RegExp(`^holdfast demo: another demo runs, process ${first.child.pid}: end it`, 'm'),
      );
      await first.says('vgcreate');
      first.ctrlC();
      assert.equal(await first.status(), 0, first.text);
      await assertNothingLeft(dir);
    });
  });

  test('the output is closed (| head): nothing is left', { skip }, async () => {
    await withRunDir(async (start) => {
      const demo = start('demo', '--once');
      const dir = await folderOf(demo);
      demo.child.stdout?.destroy();
      demo.child.stderr?.destroy();
      assert.equal(await demo.status(), 0);
      await assertNothingLeft(dir);
    });
  });

  test('without root the demo shows leases alone, and says why', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'holdfast-front-door-'));
    try {
      const isRoot = process.getuid?.() === 0;
      if (isRoot) chownSync(dir, NOBODY, NOBODY);
      const asNobody = ['--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups'];
      const words = isRoot ? ['setpriv', ...asNobody, HOLDFAST] : [HOLDFAST];
      const [program = '', ...args] = words;
      const tried = await run(program, [...args, 'version']);
      if (tried.code !== 0) return t.skip(`another user cannot run ${HOLDFAST}`);
      const demo = new Demo(program, [...args, 'demo'], { cwd: dir });
      assert.equal(await demo.status(), 0, demo.text);
      assert.match(demo.text, /The demo with lvm is not possible here: \S/);
      assert.match(demo.text, /-243/);
      assert.match(demo.text, /beta holds the lease now/);
      assert.match(demo.text, /Everything is taken down: [^\n]*\n$/);
      assert.deepEqual(readdirSync(dir), []);
      assert.deepEqual(processesOf(dir), []);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
