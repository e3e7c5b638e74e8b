import { textToName } from '../base/bytes.ts';
import { closeFd, SOL_SOCKET, sendmsg, sendto, socket } from './system-calls.ts';
import { AF_UNIX, unixAddress } from './unix-address.ts';

const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0x80000 | 0x800;
const MSG_NOSIGNAL = 0x4000;
const SCM_RIGHTS = 1;

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

  /** The same with a descriptor, of which the receiver gets one of its own. */
  sendWithDescriptor(bytes: Uint8Array, descriptor: number): boolean {
    if (this.#fd < 0) return false;
    const name = this.#address;
    const control = rights(descriptor);
    const message = {
      ...{ name, nameLength: name.length, control, controlLength: control.length, flags: 0 },
      ...{ iov: [{ base: bytes, length: bytes.length }], iovLength: 1 },
    };
    return sendmsg(this.#fd, message, MSG_NOSIGNAL) === bytes.length;
  }

  /** Safe to repeat. */
  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }
}

/** struct cmsghdr, a descriptor, and padding: length u64, level i32, type i32, fd i32 */
function rights(descriptor: number): Uint8Array {
  const control = new Uint8Array(24);
  const fields = new DataView(control.buffer);
  fields.setBigUint64(0, 20n, true);
  fields.setInt32(8, SOL_SOCKET, true);
  fields.setInt32(12, SCM_RIGHTS, true);
  fields.setInt32(16, descriptor, true);
  return control;
}

/** One datagram, as `DatagramSender` sends it; with a descriptor where one is given. */
export function sendDatagram(name: string, bytes: Uint8Array, descriptor = -1): boolean {
  const sender = new DatagramSender(name);
  const isSent = descriptor < 0 ? sender.send(bytes) : sender.sendWithDescriptor(bytes, descriptor);
  sender.close();
  return isSent;
}
