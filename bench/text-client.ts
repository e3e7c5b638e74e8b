import {
  formatRequest,
  MESSAGE_END,
  numberOf,
  parseConfig,
} from '../src/wire/lvmlockd/libdaemon.ts';
import { BlockingSocket } from './blocking-socket.ts';

type RequestFields = NonNullable<Parameters<typeof formatRequest>[1]>;

/** A command's connection to lvmlockd. */
export class BlockingLvmlockd {
  readonly #socket: BlockingSocket;
  readonly #reply = Buffer.alloc(64 * 1024);

  constructor(path: string) {
    this.#socket = new BlockingSocket(path);
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
    this.#socket.send(bytes, name);
  }

  result(): number {
    let text = '';
    while (!text.endsWith(MESSAGE_END)) {
      const count = this.#socket.receive(this.#reply, this.#reply.length);
      if (count <= 0) throw new Error('lvmlockd closed the connection');
      text += this.#reply.toString('latin1', 0, count);
    }
    const fields = parseConfig(text.slice(0, -MESSAGE_END.length + 1));
    if (!fields.ok) throw new Error(fields.error);
    return numberOf(fields.value, 'op_result', 9999);
  }

  close(): void {
    this.#socket.close();
  }
}
