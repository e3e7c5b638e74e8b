import { textToName } from '../base/bytes.ts';
import { type BoundSocket, bindSocket } from './bound-socket.ts';
import { FdWatcher } from './fd-watcher.ts';
import { closeFd, recv } from './system-calls.ts';

const MAX_DATAGRAM_BYTES = 64 * 1024;
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
