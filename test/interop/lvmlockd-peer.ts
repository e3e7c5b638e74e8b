import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  type Fields,
  formatRequest,
  MESSAGE_END,
  numberOf,
  parseConfig,
} from '../../src/wire/lvmlockd/libdaemon.ts';

type RequestFields = NonNullable<Parameters<typeof formatRequest>[1]>;

/** A command's connection to lvmlockd: requests as lvm prints them. */
export class LvmlockdPeer {
  readonly #socket: Socket;
  #text = '';
  #wake = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => this.#wake());
    socket.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('latin1');
      this.#wake();
    });
  }

  static async connect(path: string): Promise<LvmlockdPeer> {
    const socket = connect({ path });
    await once(socket, 'connect');
    return new LvmlockdPeer(socket);
  }

  /** Sends one without waiting for its answer. */
  send(name: string, fields: RequestFields): void {
    this.#socket.write(formatRequest(name, [['cmd', 'test'], ['pid', process.pid], ...fields]));
  }

  /** The next answer. */
  async fields(): Promise<Fields> {
    while (!this.#text.includes(MESSAGE_END)) {
      if (this.#socket.readyState === 'closed') throw new Error('lvmlockd closed the connection');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const end = this.#text.indexOf(MESSAGE_END);
    const fields = parseConfig(this.#text.slice(0, end + 1));
    this.#text = this.#text.slice(end + MESSAGE_END.length);
    if (!fields.ok) throw new Error(fields.error);
    return fields.value;
  }

  /** The next answer's `op_result`. */
  async result(): Promise<number> {
    return numberOf(await this.fields(), 'op_result', 9999);
  }

  async ask(name: string, fields: RequestFields): Promise<number> {
    this.send(name, fields);
    return await this.result();
  }

  close(): void {
    this.#socket.destroy();
  }
}
