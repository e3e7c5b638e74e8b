import { FdWatcher } from './fd-watcher.ts';
import { bind, checked, closeFd, recv, sendto, socket } from './system-calls.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0x80000 | 0x800;
const MSG_NOSIGNAL = 0x4000;
const MAX_NAME_BYTES = 107;
const MAX_DATAGRAM_BYTES = 64 * 1024;

/**
 * A unix datagram address. A leading '@' means the abstract space, where the name's exact length
 * counts: Node pads it with NULs, and then no C program finds it (spec 70 §5).
 */
function addressOf(name: string): Uint8Array {
  const bytes = Buffer.from(name);
  if (bytes.length === 0 || bytes.length > MAX_NAME_BYTES) {
    throw new Error(`a unix socket name has 1 to ${MAX_NAME_BYTES} bytes: ${name}`);
  }
  const abstract = bytes[0] === 0x40;
  const address = new Uint8Array(2 + bytes.length + (abstract ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  if (abstract) address[2] = 0;
  return address;
}

/** Sends one datagram without waiting; false when nobody listens there or the queue is full. */
export function sendDatagram(name: string, bytes: Uint8Array): boolean {
  const address = addressOf(name);
  const fd = checked('socket', socket(AF_UNIX, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0));
  const sent = sendto(fd, bytes, bytes.length, MSG_NOSIGNAL, address, address.length);
  closeFd(fd);
  return sent === bytes.length;
}

/** A bound datagram socket that others send to. */
export class DatagramReceiver {
  readonly #fd: number;
  readonly #watcher: FdWatcher;
  readonly #space = new Uint8Array(MAX_DATAGRAM_BYTES);
  #closed = false;

  /** @throws SystemCallError when the name is taken. */
  constructor(name: string, received: (bytes: Uint8Array) => void) {
    const address = addressOf(name);
    this.#fd = checked('socket', socket(AF_UNIX, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0));
    checked('bind', bind(this.#fd, address, address.length));
    this.#watcher = new FdWatcher(this.#fd, () => {
      const length = recv(this.#fd, this.#space, this.#space.length, 0);
      if (length >= 0) received(this.#space.slice(0, length));
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    closeFd(this.#fd);
  }
}
