import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { MIB } from '../../base/units.ts';
import { ENDED_MS, isRunning, treeOf } from '../../rig/processes.ts';
import { type Outcome, pause, run, until } from '../../rig/run.ts';
import { answer, command, countdown, countdownOver, heading, say, why } from './demo-text.ts';
import { toTheEnd } from './interruption.ts';

const IO_TIMEOUT_S = 1;
const SAFE_SECONDS = 8 * IO_TIMEOUT_S + 60;

interface Node {
  readonly name: string;
  readonly hostId: number;
  readonly env: NodeJS.ProcessEnv;
  readonly daemon: ChildProcess;
}

/** The same demo without lvm or root: sanlock's leases in a plain file, two daemons. */
export async function leaseDemo(obstacle: string, asked: Promise<'asked'>): Promise<number> {
  say();
  say(`The demo with lvm is not possible here: ${obstacle}.`);
  say('So here is what lies beneath it: leases in a shared file, two hosts, our sanlock on each.');
  // Direct I/O is needed: a folder of the home or project rather than a memory file system.
  const dir = await mkdtemp(join(process.cwd(), '.holdfast-demo-'));
  const children: ChildProcess[] = [];
  const start: Starter = (program, args, env) => {
    const child = spawn(bin(program), [...args], { env, stdio: 'ignore' });
    children.push(child);
    return child;
  };
  const whole = async (): Promise<'played'> => {
    const disk = join(dir, 'disk');
    const file = await open(disk, 'w');
    await file.truncate(4 * MIB);
    await file.close();
    const alpha = await startNode(start, dir, { name: 'alpha', hostId: 1 });
    const beta = await startNode(start, dir, { name: 'beta', hostId: 2 });
    await playDemo(start, [alpha, beta], disk);
    return 'played';
  };
  return toTheEnd(asked, whole, async () => {
    // Lease processes and killpath runners end by themselves, a moment after their daemon.
    const pids = children.flatMap(({ pid }) => (pid === undefined ? [] : treeOf(pid)));
    for (const child of children) child.kill('SIGKILL');
    const areGone = () => !pids.some(isRunning);
    await until('the end of the demo’s processes', areGone, { withinMs: ENDED_MS });
    await rm(dir, { recursive: true, force: true });
    return 'Everything is taken down: no process or file is left.';
  });
}

const bin = (program: string) => join(dirname(__dirname), 'bin', program);

/** Starts a program of ours that the demo ends with itself. */
type Starter = (program: string, args: readonly string[], env: NodeJS.ProcessEnv) => ChildProcess;

async function startNode(
  start: Starter,
  dir: string,
  of: { readonly name: string; readonly hostId: number },
): Promise<Node> {
  const runDir = join(dir, of.name);
  await mkdir(runDir);
  const env = { ...process.env, SANLOCK_RUN_DIR: runDir, SANLOCK_PRIVILEGED: '0' };
  const args = ['daemon', '-D', '-w', '0', '-l', '0', ...(await ownNames()), '-e', of.name];
  const node = { ...of, env, daemon: start('sanlock', args, env) };
  const up = async () => /daemon version +[1-9]/.test((await ask(node, 'version')).stdout);
  await until(`sanlock of ${of.name}`, up, { withinMs: 10_000 });
  return node;
}

/** The socket belongs to the user who runs this: without root no other owner is possible. */
async function ownNames(): Promise<readonly string[]> {
  const group = await run('id', ['-gn']);
  return ['-U', userInfo().username, '-G', group.stdout.trim()];
}

function ask(node: Node, ...words: readonly string[]): Promise<Outcome> {
  return run(bin('sanlock'), ['client', ...words], { env: node.env, timeoutMs: 120_000 });
}

async function show(node: Node, ...words: readonly string[]): Promise<Outcome> {
  command(node.name, ['sanlock', 'client', ...words]);
  const outcome = await ask(node, ...words);
  answer(outcome);
  return outcome;
}

async function playDemo(
  start: Starter,
  [alpha, beta]: readonly [Node, Node],
  disk: string,
): Promise<void> {
  const resource = `demo:volume:${disk}:${MIB}`;
  heading('1. Two hosts join one lockspace on the disk');
  await show(alpha, 'init', '-s', `demo:0:${disk}:0`, '-o', `${IO_TIMEOUT_S}`);
  await show(alpha, 'init', '-r', resource);
  for (const node of [alpha, beta]) {
    const lockspace = `demo:${node.hostId}:${disk}:0`;
    await show(node, 'add_lockspace', '-s', lockspace, '-o', `${IO_TIMEOUT_S}`);
  }
  heading('2. alpha takes the lease and runs a program under it');
  const asleep = ['client', 'command', '-r', resource, '-c', '/bin/sleep', '600'];
  const holder = start('sanlock', asleep, alpha.env);
  const held = async () => (await ask(alpha, 'status')).stdout.includes('demo:volume');
  await until('the lease on alpha', held, { withinMs: 20_000 });
  await show(alpha, 'status');
  why('beta asks too, and is refused (-243: the owner is alive):');
  await show(beta, 'command', '-r', resource, '-c', '/bin/true');
  heading('3. alpha dies');
  alpha.daemon.kill('SIGKILL');
  holder.kill('SIGKILL');
  const diedMs = performance.now();
  why(`Safe time: 8 × io timeout + 60 s = 8 × ${IO_TIMEOUT_S} + 60 = ${SAFE_SECONDS} s.`);
  await countDown(diedMs);
  await show(beta, 'command', '-r', resource, '-c', '/bin/echo', 'beta holds the lease now');
}

async function countDown(fromMs: number): Promise<void> {
  for (;;) {
    const leftS = SAFE_SECONDS - (performance.now() - fromMs) / 1000;
    if (leftS <= 0) break;
    countdown('protected for another', leftS);
    await pause(1000);
  }
  countdownOver();
}
