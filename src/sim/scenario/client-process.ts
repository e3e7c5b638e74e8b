import { assert } from '../../base/assert.ts';
import { decode } from '../../codec/struct.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import { SM_HEADER_BYTES, smHeader } from '../../wire/sanlock/socket.ts';

/** What a connection needs of the simulated socket it goes through. */
export interface Peer {
  readonly received: number[];
  onReceived: () => void;
  onClosedByDaemon: () => void;
  send(bytes: Uint8Array): void;
  close(): void;
}

/** A client's connection to sanlock: calls that answer with a result number, in order. */
export class SanlockConnection {
  readonly #peer: Peer;
  /** How something reaches the daemon: when it runs. */
  readonly #toDaemon: (happen: () => void) => void;
  readonly #waiting: ((result: number | null) => void)[] = [];
  #isOpen = true;

  constructor(peer: Peer, toDaemon: (happen: () => void) => void) {
    this.#peer = peer;
    this.#toDaemon = toDaemon;
    peer.onReceived = () => this.#heard();
    peer.onClosedByDaemon = () => this.lost();
  }

  /** `answered` gets null when the connection ends first. */
  call(call: SanlockCall<number>, answered: (result: number | null) => void): void {
    assert(call.reply !== 'log' && call.reply !== 'stream', `${call.name} answers with a number`);
    if (!this.#isOpen) {
      answered(null);
      return;
    }
    if (call.reply === 'message') this.#waiting.push(answered);
    this.#toDaemon(() => this.#peer.send(call.request));
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#toDaemon(() => this.#peer.close());
  }

  /** The daemon's end is gone. */
  lost(): void {
    this.#isOpen = false;
    for (const answered of this.#waiting.splice(0)) answered(null);
  }

  #heard(): void {
    const { received } = this.#peer;
    while (received.length >= SM_HEADER_BYTES) {
      const header = Uint8Array.from(received.splice(0, SM_HEADER_BYTES));
      this.#waiting.shift()?.(decode(smHeader, header).data);
    }
  }
}

/** What a client process does when it gets a signal, or when its killpath program runs. */
export interface ProcessBehavior {
  /** Seconds from SIGTERM to its end; null: it takes no notice. */
  readonly sigtermS: number | null;
  /** It hangs in the kernel, and even SIGKILL does not end it. */
  readonly isStuck: boolean;
  /** null: it has set none. */
  readonly killpath: string | null;
  /** What that program does for it. */
  readonly killpathDoes: 'nothing' | 'release' | 'end';
}

/** A process that uses leases. */
export interface ClientProcess {
  readonly pid: number;
  readonly behavior: ProcessBehavior;
  readonly connection: SanlockConnection;
}
