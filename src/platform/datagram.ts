import { textToName } from '../base/bytes.ts';
import { type BoundSocket, bindSocket } from './bound-socket.ts';
import { FdWatcher } from './fd-watcher.ts';
import { closeFd, recv, sendto, socket } from './system-calls.ts';
import { AF_UNIX, unixAddress } from './unix-address.ts';

const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0x80000 | 0x800;
const MSG_NOSIGNAL = 0x4000;
const MAX_DATAGRAM_BYTES = 64 * 1024;

/**
 * Sends datagrams to one address without waiting, by a descriptor it keeps: it can still send when
 * the process has no descriptor left.
 */
export class DatagramSender {
  readonly #address: Uint8Array;
  #fd: number;

  constructor(name: string) {
    this.#address = unixAddress(textToName(name));
    this.#fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
  }

  /** false when no process listens there, the queue is full, or no descriptor was left. */
  send(bytes: Uint8Array): boolean {
    if (this.#fd < 0) this.#fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
    if (this.#fd < 0) return false;
    const to = this.#address;
    return sendto(this.#fd, bytes, bytes.length, MSG_NOSIGNAL, to, to.length) === bytes.length;
  }

  /** Safe to repeat. */
  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }
}

/** One datagram, as `DatagramSender` sends it. */
export function sendDatagram(name: string, bytes: Uint8Array): boolean {
  const sender = new DatagramSender(name);
  const isSent = sender.send(bytes);
  sender.close();
  return isSent;
}

const OWNER_AND_GROUP = 0o660;

/** A bound datagram socket that others send to; with a path, `root` and its group. */
export class DatagramReceiver {
  readonly #bound: BoundSocket;
  readonly #watcher: FdWatcher;
  readonly #space = new Uint8Array(MAX_DATAGRAM_BYTES);
  #closed = false;

  /** @throws with the reason when the name is taken. */
  constructor(name: string, received: (bytes: Uint8Array) => void) {
    const at = { path: textToName(name), mode: OWNER_AND_GROUP, uid: -1, gid: -1 };
    this.#bound = bindSocket(at, { type: 'datagram' });
    const { fd } = this.#bound;
    this.#watcher = new FdWatcher(fd, () => {
      const length = recv(fd, this.#space, this.#space.length, 0);
      if (length >= 0) received(this.#space.slice(0, length));
    });
  }

  /** Removes the name as well. Safe to repeat. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    this.#bound.removeName();
    closeFd(this.#bound.fd);
  }
}
