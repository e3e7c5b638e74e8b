import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** A system call of some thread, from its entry until it returned. */
export interface SystemCall {
  readonly tid: number;
  readonly name: string;
  /** Of no certain clock. */
  readonly startUs: number;
  readonly endUs: number;
  /** Its first argument, where that is a descriptor. */
  readonly fd: number | null;
}

/** `perf` costs each call less than a microsecond, strace stops the thread twice. */
export type Tracer = 'perf' | 'strace';

const ATTACH_DEADLINE_MS = 20_000;
const LOOK_EVERY_MS = 50;
const OUTPUT_BYTES = 1 << 30;
/** With a tracefs of its own where the machine has mounted none. */
const WITH_TRACEFS = [
  ...['--mount', 'sh', '-c'],
  'mount -t tracefs none /sys/kernel/tracing 2>/dev/null; exec "$@"',
  'sh',
];

/** @returns the better one of those that work here; null: none. */
export function findTracer(): Tracer | null {
  const probe = ['perf', 'stat', '-e', 'raw_syscalls:sys_enter', 'true'];
  if (spawnSync('unshare', [...WITH_TRACEFS, ...probe]).status === 0) return 'perf';
  return spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0 ? 'strace' : null;
}

/** All system calls of these processes while `work` runs, in the order of their starts. */
export async function traced(
  tracer: Tracer,
  pids: readonly number[],
  work: () => Promise<void>,
): Promise<readonly SystemCall[]> {
  const directory = mkdtempSync('/tmp/holdfast-bench-trace-');
  const file = join(directory, 'calls');
  try {
    const child = start(tracer, pids, file);
    try {
      await attached(tracer, child, file);
      await work();
    } finally {
      await interrupt(child);
    }
    const calls =
      tracer === 'perf' ? perfCalls(textOfPerf(file)) : straceCalls(readFileSync(file, 'latin1'));
    return calls.sort((a, b) => a.startUs - b.startUs);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function start(tracer: Tracer, pids: readonly number[], file: string): ChildProcess {
  if (tracer === 'strace') {
    const each = pids.flatMap((pid) => ['-p', `${pid}`]);
    const strace = ['-f', '-ttt', '-T', '-s0', '-qq', '-o', file, ...each];
    return spawn('strace', strace, { stdio: 'ignore' });
  }
  const record = ['perf', 'trace', 'record', ...PERF_WAITS, '-p', pids.join(','), '-o', file];
  return spawn('unshare', [...WITH_TRACEFS, ...record], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
}

/** It begins when it is told so, and confirms it: descriptors 3 and 4. */
const PERF_WAITS = ['--delay=-1', '--control=fd:3,4'];

/** A loaded machine takes seconds to start a tracer. */
async function attached(tracer: Tracer, child: ChildProcess, file: string): Promise<void> {
  const signal = AbortSignal.timeout(ATTACH_DEADLINE_MS);
  if (tracer === 'perf') {
    const [, , , orders, answers] = child.stdio;
    (orders as Writable).write('enable\n');
    await once(answers as Readable, 'data', { signal });
    return;
  }
  // Threads that wait make calls too: the first lines come soon.
  while ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) {
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}

function interrupt(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) throw new Error('the tracer could not attach');
  return new Promise((done) => {
    child.once('exit', () => done());
    child.kill('SIGINT');
  });
}

function textOfPerf(file: string): string {
  const show = ['perf', 'trace', '-T', '-i', file];
  const { stdout, stderr } = spawnSync('unshare', [...WITH_TRACEFS, ...show], {
    encoding: 'latin1',
    maxBuffer: OUTPUT_BYTES,
  });
  return `${stdout}${stderr}`; // its versions differ
}

/**
 * `start (duration ms): comm/tid name(fd: 5, …) = 0`. A call that others' lines interrupt has a
 * line without a duration at its start, and at its end a `... [continued]: name()`.
 */
const PERF_LINE =
  /^\s*([\d.]+) \(\s*(?:([\d.]+) ms)?\s*\): .*?\/(\d+) +(\.\.\. \[continued\]: )?(\w+)\((?:fd: (\d+))?/;

export function perfCalls(text: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const begun = new Map<number, number | null>();
  for (const line of text.split('\n')) {
    const found = PERF_LINE.exec(line);
    if (found === null) continue;
    const [, startMs, tookMs, thread, continued, name = '', descriptor] = found;
    const tid = Number(thread);
    const own = descriptor === undefined ? null : Number(descriptor);
    if (tookMs === undefined) {
      begun.set(tid, own);
      continue;
    }
    const startUs = Number(startMs) * 1000;
    const fd = continued === undefined ? own : (begun.get(tid) ?? null);
    calls.push({ tid, name, startUs, endUs: startUs + Number(tookMs) * 1000, fd });
  }
  return calls;
}

/** `tid start name(5, …) = 0 <duration>`, or in two lines, `… <unfinished ...>` the first. */
const STRACE_LINE = /^(\d+) +([\d.]+) (?:<\.\.\. )?(\w+)(?:\((\d+)?| resumed)/;

export function straceCalls(text: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const begun = new Map<number, { readonly startUs: number; readonly fd: number | null }>();
  for (const line of text.split('\n')) {
    const found = STRACE_LINE.exec(line);
    if (found === null) continue;
    const [, thread, startS, name = '', descriptor] = found;
    const tid = Number(thread);
    const fd = descriptor === undefined ? null : Number(descriptor);
    const isResumed = line.includes(' resumed>');
    const call = isResumed ? begun.get(tid) : { startUs: Number(startS) * 1e6, fd };
    if (call === undefined) continue;
    const tookS = /<([\d.]+)>$/.exec(line)?.[1];
    if (tookS === undefined) begun.set(tid, call);
    else calls.push({ tid, name, ...call, endUs: call.startUs + Number(tookS) * 1e6 });
  }
  return calls;
}
