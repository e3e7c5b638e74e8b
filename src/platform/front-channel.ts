import type { LogFields, LogLevel } from '../base/log-fields.ts';
import {
  dictionary,
  MessageReader,
  MessageWriter,
  oneOf,
  type Part,
  record,
  scalar,
  text,
} from '../codec/parts.ts';
import { FramedSocket } from './framed-socket.ts';

/** Where a lease process finds its end of the channel. */
export const FRONT_FD = 3;
/** What a frame carries: its program's message, or a line for the daemon's log. */
export const FRAME = { message: 0, log: 1 } as const;

interface LogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

const fields: Part<LogFields> = dictionary(scalar);
const logLine = record<LogLine>(
  { level: oneOf(['error', 'warn', 'info', 'debug']), event: text, fields },
  {},
);
const writer = new MessageWriter();

/** @throws BrokenInvariant where the bytes are none */
export function readLogLine(bytes: Uint8Array): LogLine {
  return MessageReader.decode(logLine, bytes);
}

/** A lease process's end of its channel to the front. */
export class FrontChannel {
  readonly #socket: FramedSocket;
  readonly #gone: (() => void)[] = [];

  constructor(fd: number, received: (message: Uint8Array) => void) {
    this.#socket = new FramedSocket(fd, {
      received: (frame) => received(frame.subarray(1)),
      closed: () => {
        for (const gone of this.#gone) gone();
      },
    });
  }

  get isOpen(): boolean {
    return this.#socket.isOpen;
  }

  /** The front is gone. */
  onClosed(gone: () => void): void {
    this.#gone.push(gone);
  }

  /** The bytes are copied. Nothing once the channel is closed. */
  send(message: Uint8Array): void {
    this.#socket.send(FRAME.message, message);
  }

  log(level: LogLevel, event: string, lineFields: LogFields): void {
    const bytes = writer.encode(logLine, { level, event, fields: lineFields });
    this.#socket.send(FRAME.log, bytes);
  }

  /** What was sent is with the kernel as far as it takes it; the front hears the end at once. */
  close(): void {
    this.#socket.flush();
    this.#socket.close();
  }
}
