import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const PROGRAM = `${ROOT}/src/platform/test-service-manager.py`;
const DEADLINE_MS = 60_000;

/**
 * Starts a daemon as systemd does, with the descriptors that an earlier one gave it to keep. It has
 * room for one.
 */
export class ServiceManager {
  readonly #process: ChildProcessWithoutNullStreams;
  #lines: string[] = [];
  #rest = '';
  #look: () => void = () => {};

  constructor(notifyPath: string, command: readonly string[], env: NodeJS.ProcessEnv) {
    this.#process = spawn('/usr/bin/python3', [PROGRAM, notifyPath, ...command], { env });
    this.#process.stderr.pipe(process.stderr);
    this.#process.stdout.on('data', (bytes: Buffer) => {
      const lines = (this.#rest + bytes.toString()).split('\n');
      this.#rest = lines.pop() ?? '';
      this.#lines.push(...lines);
      this.#look();
    });
  }

  /** Resolves with what the line says behind these words; earlier lines are dropped. */
  heard(words: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`not heard: ${words}; but ${this.#lines.join('; ')}`));
      const deadline = setTimeout(late, DEADLINE_MS);
      this.#look = () => {
        const at = this.#lines.findIndex((line) => line.startsWith(words));
        const line = this.#lines[at];
        if (line === undefined) return;
        clearTimeout(deadline);
        this.#look = () => {};
        this.#lines = this.#lines.slice(at + 1);
        resolve(line.slice(words.length).trim());
      };
      this.#look();
    });
  }

  /** @returns its pid */
  async start(): Promise<number> {
    this.#order('start');
    return Number(await this.heard('started'));
  }

  /** @returns the pid of one that serves */
  async startReady(): Promise<number> {
    const pid = await this.start();
    await this.heard('READY=1');
    return pid;
  }

  /** Of the one that was started last. @returns its exit status, or the signal below 0 */
  async kill(signal: NodeJS.Signals): Promise<number> {
    this.signal(signal);
    return Number(await this.heard('ended'));
  }

  signal(signal: NodeJS.Signals): void {
    this.#order(`kill ${signal}`);
  }

  /** From now on the next daemons do not get what is in the store. */
  withhold(): void {
    this.#order('withhold');
  }

  /** Something that is in the store by mistake, under the name of a listener there. */
  async plant(kind: 'listener' | 'stream' | 'datagram' | 'file', path: string): Promise<void> {
    this.#order(`plant ${kind} ${path}`);
    await this.heard('planted');
  }

  /** Kills what still runs. */
  async close(): Promise<void> {
    const exit = once(this.#process, 'exit');
    this.#process.stdin.end();
    await exit;
  }

  #order(words: string): void {
    this.#process.stdin.write(`${words}\n`);
  }
}
