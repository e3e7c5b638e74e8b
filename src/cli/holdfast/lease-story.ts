import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { type Outcome, pause, run, until } from '../../lab/run.ts';
import { answer, command, countdown, countdownOver, heading, say, why } from './story-print.ts';

const MIB = 1024 * 1024;
const IO_TIMEOUT_S = 1;
const SAFE_SECONDS = 8 * IO_TIMEOUT_S + 60;

interface Node {
  readonly name: string;
  readonly hostId: number;
  readonly env: NodeJS.ProcessEnv;
  kill(): void;
}

/** The same story without lvm or root: sanlock's leases in a plain file, two daemons. */
export async function leaseStory(obstacle: string): Promise<number> {
  say();
  say(`The story with lvm is not possible here: ${obstacle}.`);
  say('So here is what lies beneath it: leases in a shared file, two hosts, our sanlock on each.');
  // Direct I/O is needed: a folder of the home or project rather than a memory file system.
  const dir = await mkdtemp(join(process.cwd(), '.holdfast-story-'));
  const nodes: Node[] = [];
  const clean = async (): Promise<void> => {
    for (const node of nodes) node.kill();
    await rm(dir, { recursive: true, force: true });
  };
  const interrupted = (): void => {
    clean().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupted);
  try {
    const disk = join(dir, 'disk');
    const file = await open(disk, 'w');
    await file.truncate(4 * MIB);
    await file.close();
    for (const [index, name] of ['alpha', 'beta'].entries()) {
      nodes.push(await startNode(dir, { name, hostId: index + 1 }));
    }
    await tell(nodes, disk);
  } finally {
    await clean();
  }
  say('Everything is taken down: no process or file is left.');
  return 0;
}

const BIN = join(dirname(__dirname), 'bin');

async function startNode(dir: string, of: { name: string; hostId: number }): Promise<Node> {
  const runDir = join(dir, of.name);
  await mkdir(runDir);
  const env = { ...process.env, SANLOCK_RUN_DIR: runDir, SANLOCK_PRIVILEGED: '0' };
  const args = ['daemon', '-D', '-w', '0', '-l', '0', ...(await ownNames()), '-e', of.name];
  const child = spawn(join(BIN, 'sanlock'), args, { env, stdio: 'ignore' });
  const node = { ...of, env, kill: () => void child.kill('SIGKILL') };
  const up = async () => /daemon version +[1-9]/.test((await ask(node, 'version')).stdout);
  await until(`sanlock of ${of.name}`, up, { withinMs: 10_000 });
  return node;
}

/** The socket must belong to whoever runs this: without root no other owner is possible. */
async function ownNames(): Promise<readonly string[]> {
  const group = await run('id', ['-gn']);
  return ['-U', userInfo().username, '-G', group.stdout.trim()];
}

function ask(node: Node, ...words: readonly string[]): Promise<Outcome> {
  return run(join(BIN, 'sanlock'), ['client', ...words], { env: node.env, timeoutMs: 120_000 });
}

async function show(node: Node, ...words: readonly string[]): Promise<Outcome> {
  command(node.name, ['sanlock', 'client', ...words]);
  const outcome = await ask(node, ...words);
  answer(outcome);
  return outcome;
}

async function tell(nodes: readonly Node[], disk: string): Promise<void> {
  const [alpha, beta] = nodes;
  if (alpha === undefined || beta === undefined) return;
  const resource = `demo:volume:${disk}:${MIB}`;
  heading('1. Two hosts join one lockspace on the disk');
  await show(alpha, 'init', '-s', `demo:0:${disk}:0`, '-o', `${IO_TIMEOUT_S}`);
  await show(alpha, 'init', '-r', resource);
  for (const node of nodes) {
    const lockspace = `demo:${node.hostId}:${disk}:0`;
    await show(node, 'add_lockspace', '-s', lockspace, '-o', `${IO_TIMEOUT_S}`);
  }
  heading('2. alpha takes the lease and runs a program under it');
  const holder = spawn(
    join(BIN, 'sanlock'),
    ['client', 'command', '-r', resource, '-c', '/bin/sleep', '600'],
    { env: alpha.env, stdio: 'ignore' },
  );
  const held = async () => (await ask(alpha, 'status')).stdout.includes('demo:volume');
  await until('the lease on alpha', held, { withinMs: 20_000 });
  await show(alpha, 'status');
  why('beta asks too, and is refused (-243: the owner is alive):');
  await show(beta, 'command', '-r', resource, '-c', '/bin/true');
  heading('3. alpha dies');
  alpha.kill();
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
