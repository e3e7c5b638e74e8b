import { readdirSync, readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeBytes } from './replay-canonical.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const FOLDER = `${ROOT}/test/vectors/sanlock-socket`;

interface RecordedEvent {
  readonly dir: 'c2s' | 's2c';
  readonly len: number;
  readonly hex: string;
}

export interface Exchange {
  /** '032-add-lockspace' */
  readonly name: string;
  readonly connections: readonly { readonly events: readonly RecordedEvent[] }[];
  readonly connection_after?: string;
}

/** Recorded with other daemons and another lockspace than all the rest. */
export const TWO_HOSTS: readonly string[] = [
  '171-request-next-lver-mode1',
  '172-request-next-lver-mode2',
  '175-acquire-owner-nowait-dead-host',
  '176-acquire-busy',
  '177-inquire-busy',
  '178-release-busy',
  '179-acquire-being-added',
];

/** The recordings, in order; each depends on the state left by those before. */
export function loadExchanges(): readonly Exchange[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => readFileSync(`${FOLDER}/${file}`, 'utf8'))
    .map((text) => JSON.parse(text) as Exchange); // our own files
}

/** The same bytes with every path `from` replaced by `to`, which has the same length. */
export function movePaths(hex: string, from: string, to: string): Buffer {
  const bytes = Buffer.from(hex, 'hex');
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) {
    bytes.write(to, at, 'latin1');
  }
  return bytes;
}

/** How long an answer may take, and how long silence must last to count as silence. */
const ANSWER_MS = 20_000;
const SILENCE_MS = 300;

/** One client connection: sends what was recorded, collects what comes back. */
export class ReplayConnection {
  readonly #socket: Socket;
  #arrived = Buffer.alloc(0);
  isEnded = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#arrived = Buffer.concat([this.#arrived, bytes]);
    });
    socket.on('end', () => {
      this.isEnded = true;
    });
    socket.on('error', () => {
      this.isEnded = true;
    });
  }

  static async open(path: string): Promise<ReplayConnection> {
    const socket = createConnection({ path, allowHalfOpen: true });
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new ReplayConnection(socket);
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Half-closes: the daemon sees EOF, and we still read. */
  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Everything that comes for an answer of about `expected` bytes, until it is whole. */
  async receive(expected: number, silenceMs = SILENCE_MS): Promise<Buffer> {
    const deadline = Date.now() + (expected === 0 ? SILENCE_MS : ANSWER_MS);
    let lastLength = -1;
    let quietSince = Date.now();
    while (Date.now() < deadline && !this.isEnded) {
      if (this.#arrived.length !== lastLength) {
        lastLength = this.#arrived.length;
        quietSince = Date.now();
      }
      const isQuiet = Date.now() - quietSince > silenceMs;
      const whole = wholeBytes(this.#arrived);
      const isWhole = whole !== null && this.#arrived.length >= Math.max(expected, whole);
      if (expected > 0 && (isWhole || (whole === null && isQuiet))) break;
      if (expected > 0 && lastLength > 0 && isQuiet && whole === lastLength) break;
      await sleep(5);
    }
    const taken = this.#arrived;
    this.#arrived = Buffer.alloc(0);
    return taken;
  }
}
