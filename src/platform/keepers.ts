import { type ChildProcess, spawn } from 'node:child_process';
import { SECOND_MS } from '../base/units.ts';
import type { Keepers, Killpath } from '../ports/keepers.ts';
import type { BoundProcess } from '../ports/processes.ts';
import { NODE_ARGUMENTS } from './clean-start.ts';
import { guestOfKeeper, KEEPER_GUEST, sleepers } from './keeper-marks.ts';
import { KernelProcess, type Surroundings } from './kernel-process.ts';

const READY_MS = 30 * SECOND_MS;
const MAX_SAID = 1000;

/** Starts `bin/guard-keeper` in a session of its own: what ends the guard does not end it. */
export class NodeKeepers implements Keepers {
  readonly #file: string;
  readonly #around: Surroundings;

  /** @param file of the keeper's program */
  constructor(file: string, around: Surroundings) {
    this.#file = file;
    this.#around = around;
  }

  start(
    { uuid, killpath }: { readonly uuid: string; readonly killpath: Killpath },
    started: (keeper: BoundProcess | { readonly trouble: string }) => void,
  ): void {
    // Without a descriptor for its pipe it has none, and ends with an error.
    const words = [...NODE_ARGUMENTS, this.#file, killpath.path, killpath.args];
    const child: ChildProcess = spawn(process.execPath, words, {
      detached: true,
      env: { ...process.env, [KEEPER_GUEST]: uuid },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    let isAnswered = false;
    const answer = (keeper: BoundProcess | { readonly trouble: string }): void => {
      if (isAnswered) return;
      isAnswered = true;
      clearTimeout(timer);
      child.stdout?.destroy();
      if ('trouble' in keeper) child.kill('SIGKILL');
      started(keeper);
    };
    const timer = setTimeout(() => answer({ trouble: 'a keeper did not begin' }), READY_MS);
    child.unref();
    child.on('error', (error) => answer({ trouble: error.message }));
    child.on('exit', () => answer({ trouble: said.trim() || 'a keeper has ended at once' }));
    child.stdout?.on('data', (bytes) => {
      said = (said + bytes).slice(0, MAX_SAID);
      if (!said.endsWith('\n')) return;
      if (said !== 'ready\n') {
        answer({ trouble: said.trim() });
        return;
      }
      const bound = KernelProcess.ofChild(child.pid ?? -1, this.#around);
      answer(bound ?? { trouble: 'a keeper has ended at once' });
    });
  }

  find(pid: number, identity: string): BoundProcess | null {
    return KernelProcess.find(pid, identity, this.#around);
  }

  all(): readonly { readonly uuid: string; readonly keeper: BoundProcess }[] {
    return sleepers().flatMap((pid) => {
      const keeper = KernelProcess.at(pid, this.#around);
      const uuid = guestOfKeeper(pid); // bound before: it is this process, or one that has ended
      if (keeper !== null && uuid !== null) return [{ uuid, keeper }];
      keeper?.close();
      return [];
    });
  }

  lose({ path, args }: Killpath): void {
    const child = spawn(path, [...wordsOf(args), '0'], { detached: true, stdio: 'ignore' });
    child.unref();
    child.on('error', (error) => {
      this.#around.log.error('lossProgram.notStarted', { path, reason: error.message });
    });
  }
}

/** As sanlock parts them: at blanks, of which a backslash makes a character. */
function wordsOf(args: string): readonly string[] {
  return [...args.matchAll(/(?:\\.|[^ \\])+/g)].map(([word]) => word.replace(/\\(.)/g, '$1'));
}
