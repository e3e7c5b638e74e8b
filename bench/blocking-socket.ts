import koffi from 'koffi';

/**
 * The client of a benchmark must not hide the daemon's time behind its own: no event loop, one
 * send and one blocking receive for each call, 3 µs of our own.
 */
const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const connect = libc.func('int connect(int fd, void *address, uint length)');
const send = libc.func('long send(int fd, void *bytes, size_t length, int flags)');
const recv = libc.func('long recv(int fd, void *bytes, size_t length, int flags)');
const close = libc.func('int close(int fd)');

const MSG_NOSIGNAL = 0x4000;
const MSG_WAITALL = 0x100;
const SOCK_STREAM_CLOEXEC = 1 | 0x80000;

/** A connection to a daemon's socket. */
export class BlockingSocket {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = socket(1, SOCK_STREAM_CLOEXEC, 0);
    const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(path), Buffer.from([0])]);
    if (connect(this.#fd, address, address.length) < 0) {
      throw new Error(`cannot connect to ${path}: errno ${koffi.errno()}`);
    }
  }

  /** Throws when the daemon does not take all of it. */
  send(bytes: Uint8Array, what: string): void {
    if (Number(send(this.#fd, bytes, bytes.length, MSG_NOSIGNAL)) !== bytes.length) {
      throw new Error(`${what}: the daemon does not take it`);
    }
  }

  /** What has come, at most `length` bytes; with `all` no less. 0 or less: the end. */
  receive(into: Uint8Array, length: number, all = false): number {
    return Number(recv(this.#fd, into, length, all ? MSG_WAITALL : 0));
  }

  close(): void {
    close(this.#fd);
  }
}
