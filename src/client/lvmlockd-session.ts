import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import type { Connection } from '../ports/sockets.ts';
import {
  type Fields,
  messageReader,
  parseConfig,
  textToBytes,
} from '../wire/lvmlockd/libdaemon.ts';
import type { LvmlockdEndpoint } from './lvmlockd.ts';

const CONNECT_MS = 10_000;

/**
 * A connection to lvmlockd for several requests, one after another: locks that they take last until
 * it is closed. Nothing here rejects: a failure is one sentence, and ends the session.
 */
export class LvmlockdSession {
  readonly #connection: Connection;
  readonly #clock: LvmlockdEndpoint['clock'];
  #settle: ((result: Result<Fields, string>) => void) | null = null;
  #fault: string | null = null;

  private constructor(connection: Connection, clock: LvmlockdEndpoint['clock']) {
    this.#connection = connection;
    this.#clock = clock;
    const reader = messageReader();
    connection.onClosed(() => this.#end('lvmlockd closed the connection without an answer'));
    connection.onData((bytes) => {
      const messages = reader.push(bytes);
      if (messages === null) this.#end('lvmlockd answered too much');
      for (const message of messages ?? []) {
        const fields = parseConfig(message);
        if (fields.ok) this.#answered(ok(fields.value));
        else this.#end(`lvmlockd answered nonsense: ${fields.error}`);
      }
    });
  }

  static open(endpoint: LvmlockdEndpoint): Promise<Result<LvmlockdSession, string>> {
    const { sockets, clock, socketPath } = endpoint;
    return new Promise((resolve) => {
      sockets.connect(socketPath, CONNECT_MS, (opened) => {
        if (opened.ok) resolve(ok(new LvmlockdSession(opened.connection, clock)));
        else resolve(fail(`cannot reach lvmlockd at ${socketPath} (errno ${opened.errno})`));
      });
    });
  }

  /** One request at a time. @param timeoutMs for the answer */
  ask(request: ByteString, timeoutMs: number): Promise<Result<Fields, string>> {
    if (this.#fault !== null) return Promise.resolve(fail(this.#fault));
    return new Promise((resolve) => {
      const deadline = this.#clock.after(timeoutMs, () =>
        this.#end(`lvmlockd gave no answer within ${timeoutMs} ms`),
      );
      this.#settle = (result) => {
        deadline.cancel();
        resolve(result);
      };
      this.#connection.send(textToBytes(request));
    });
  }

  /** Safe to repeat. */
  close(): void {
    this.#end('the session is closed');
  }

  #answered(result: Result<Fields, string>): void {
    const settle = this.#settle;
    this.#settle = null;
    settle?.(result);
  }

  #end(fault: string): void {
    if (this.#fault !== null) return;
    this.#fault = fault;
    this.#connection.close();
    this.#answered(fail(fault));
  }
}
