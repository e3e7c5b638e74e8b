import type { BoundProcess, SignalName } from '../../ports/processes.ts';

/** Processes of a simulated host: no pid is used twice, so a pid identifies a process. */
export interface ProcessTable {
  isThere(pid: number): boolean;
  onceGone(pid: number, gone: () => void): void;
  signal(pid: number, signal: SignalName): void;
}

export function bind(
  table: ProcessTable,
  pid: number,
  closed: () => void = () => {},
): BoundProcess {
  let isOpen = true;
  const end = (): boolean => {
    const was = isOpen;
    isOpen = false;
    if (was) closed();
    return was;
  };
  return {
    pid,
    get identity() {
      return table.isThere(pid) ? `${pid}` : null;
    },
    onKnown: (known) => known(),
    get hasEnded() {
      return !table.isThere(pid);
    },
    command: 'client',
    onEnded: (ended) =>
      table.onceGone(pid, () => {
        if (end()) ended();
      }),
    signal: (signal) => table.signal(pid, signal),
    close: () => {
      end();
    },
  };
}

export function find(
  table: ProcessTable,
  of: { readonly pid: number; readonly identity: string },
  closed?: () => void,
): BoundProcess | null {
  const isIt = table.isThere(of.pid) && of.identity === `${of.pid}`;
  return isIt ? bind(table, of.pid, closed) : null;
}

/** Callbacks that wait for the ends of processes. */
export class Watchers {
  readonly #ofPid = new Map<number, (() => void)[]>();

  add(pid: number, gone: () => void): void {
    const watchers = this.#ofPid.get(pid) ?? [];
    watchers.push(gone);
    this.#ofPid.set(pid, watchers);
  }

  ended(pid: number): void {
    const watchers = this.#ofPid.get(pid) ?? [];
    this.#ofPid.delete(pid);
    for (const gone of watchers) gone();
  }

  clear(): void {
    this.#ofPid.clear();
  }
}
