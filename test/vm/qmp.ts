import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;
const OPEN_DEADLINE_MS = 20_000;
const ANSWER_DEADLINE_MS = 20_000;

/** Connects to a unix socket that QEMU is about to open. */
export async function connectSoon(path: string): Promise<Socket> {
  const deadlineMs = Date.now() + OPEN_DEADLINE_MS;
  for (;;) {
    const socket = await attempt(path);
    if (socket !== null) return socket;
    if (Date.now() > deadlineMs) throw new Error(`QEMU did not open ${path} in time`);
    await sleep(POLL_MS);
  }
}

function attempt(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.on('error', () => socket.destroy()); // a machine ended: its exit shows it
      socket.unref();
      resolve(socket);
    });
    socket.once('error', () => resolve(null));
  });
}

/** What QEMU reports: WATCHDOG, SHUTDOWN, RESET …; by this host's wall clock. */
export interface MachineEvent {
  readonly name: string;
  readonly ms: number;
}

interface Line {
  readonly event?: string;
  readonly timestamp?: { readonly seconds: number; readonly microseconds: number };
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** QEMU's monitor; answers come in the order of the commands. */
export class Monitor {
  readonly events: MachineEvent[] = [];
  readonly #socket: Socket;
  readonly #asked: ((line: Line) => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (text) => this.#heard(JSON.parse(text) as Line));
  }

  static async open(path: string): Promise<Monitor> {
    const monitor = new Monitor(await connectSoon(path));
    await monitor.execute('qmp_capabilities', {});
    return monitor;
  }

  execute(command: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`QEMU did not answer ${command} in time`));
      const timer = setTimeout(late, ANSWER_DEADLINE_MS);
      this.#asked.push((line) => {
        clearTimeout(timer);
        if (line.error === undefined) resolve(line.return);
        else reject(new Error(`QEMU refused ${command}: ${line.error.desc}`));
      });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  #heard(line: Line): void {
    if (line.event !== undefined && line.timestamp !== undefined) {
      const { seconds, microseconds } = line.timestamp;
      this.events.push({ name: line.event, ms: seconds * 1000 + microseconds / 1000 });
    } else if (line.return !== undefined || line.error !== undefined) {
      this.#asked.shift()?.(line);
    }
  }
}
