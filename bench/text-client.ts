import koffi from 'koffi';
import {
  formatRequest,
  MESSAGE_END,
  numberOf,
  parseConfig,
} from '../src/wire/lvmlockd/libdaemon.ts';

type RequestFields = NonNullable<Parameters<typeof formatRequest>[1]>;

/** Requests to lvmlockd as lvm makes them: one send, one blocking receive, no event loop. */
const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const connect = libc.func('int connect(int fd, void *address, uint length)');
const send = libc.func('long send(int fd, void *bytes, size_t length, int flags)');
const recv = libc.func('long recv(int fd, void *bytes, size_t length, int flags)');
const close = libc.func('int close(int fd)');

const MSG_NOSIGNAL = 0x4000;
const SOCK_STREAM_CLOEXEC = 1 | 0x80000;

/** A command's connection to lvmlockd. */
export class BlockingLvmlockd {
  readonly #fd: number;
  readonly #reply = Buffer.alloc(64 * 1024);

  constructor(path: string) {
    this.#fd = socket(1, SOCK_STREAM_CLOEXEC, 0);
    const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(path), Buffer.from([0])]);
    if (connect(this.#fd, address, address.length) < 0) {
      throw new Error(`cannot connect to ${path}: errno ${koffi.errno()}`);
    }
  }

  /** `op_result` of the answer. */
  ask(name: string, fields: RequestFields): number {
    this.send(name, fields);
    return this.result();
  }

  send(name: string, fields: RequestFields): void {
    const head: RequestFields = [
      ['cmd', 'bench'],
      ['pid', process.pid],
    ];
    const bytes = Buffer.from(formatRequest(name, [...head, ...fields]), 'latin1');
    if (Number(send(this.#fd, bytes, bytes.length, MSG_NOSIGNAL)) !== bytes.length) {
      throw new Error(`${name}: lvmlockd does not take it`);
    }
  }

  result(): number {
    let text = '';
    while (!text.endsWith(MESSAGE_END)) {
      const count = Number(recv(this.#fd, this.#reply, this.#reply.length, 0));
      if (count <= 0) throw new Error('lvmlockd closed the connection');
      text += this.#reply.toString('latin1', 0, count);
    }
    const fields = parseConfig(text.slice(0, -MESSAGE_END.length + 1));
    if (!fields.ok) throw new Error(fields.error);
    return numberOf(fields.value, 'op_result', 9999);
  }

  close(): void {
    close(this.#fd);
  }
}
