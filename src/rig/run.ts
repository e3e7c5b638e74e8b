import { type ChildProcess, execFile } from 'node:child_process';
import { MIB } from '../base/units.ts';

/** How a program ended. `code` is null when it was killed, for instance at its deadline. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly ms: number;
}

const MAX_OUTPUT_BYTES = 4 * MIB;

/**
 * Runs a program with a list of arguments, no shell, and a deadline. Never throws.
 * @param options.onStart told of its process at once
 */
export function run(
  program: string,
  args: readonly string[],
  options: {
    readonly timeoutMs?: number;
    readonly env?: NodeJS.ProcessEnv;
    readonly onStart?: (child: ChildProcess) => void;
  } = {},
): Promise<Outcome> {
  const startedMs = performance.now();
  const settings = {
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL' as const,
    maxBuffer: MAX_OUTPUT_BYTES,
    env: options.env ?? process.env,
  };
  return new Promise((resolve) => {
    const child = execFile(program, args, settings, (failure, stdout, stderr) => {
      const ms = performance.now() - startedMs;
      const code = failure === null ? 0 : child.exitCode;
      const text = code === null && stderr === '' ? (failure?.message ?? '') : stderr;
      resolve({ stdout, stderr: text, code, ms });
    });
    child.stdin?.end();
    options.onStart?.(child);
  });
}

/** Runs a program that must succeed; throws with what it said otherwise. */
export async function must(program: string, args: readonly string[]): Promise<string> {
  const outcome = await run(program, args);
  if (outcome.code === 0) return outcome.stdout.trim();
  const said = (outcome.stderr || outcome.stdout).trim();
  throw new Error(`${program} ${args.join(' ')} failed (${outcome.code}): ${said}`);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Waits until `good` is true; throws at the deadline, with what it waited for. */
export async function until(
  what: string,
  good: () => boolean | Promise<boolean>,
  options: { readonly withinMs: number; readonly everyMs?: number },
): Promise<void> {
  const endMs = performance.now() + options.withinMs;
  while (!(await good())) {
    if (performance.now() > endMs) {
      throw new Error(`waited ${Math.round(options.withinMs / 1000)} s in vain for: ${what}`);
    }
    await pause(options.everyMs ?? 50);
  }
}
