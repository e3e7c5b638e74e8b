import type { Journal } from '../../ports/journal.ts';
import type { Channel, MessageFormat, Processes } from '../../ports/processes.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';

/** A kill at one of the next acts: before it, or just after it. */
interface Crash {
  /** Acts until then. */
  left: number;
  readonly isBefore: boolean;
  readonly happen: () => void;
}

/**
 * What one daemon does to the world around it, act by act: lines of its journal, bytes to clients
 * and to wdmd, messages to lease processes, signals. Killed in the middle of an event, it does
 * nothing of the rest.
 */
export class DaemonActs {
  #crash: Crash | null = null;
  #isOver = false;

  /** @param crash `happen` must kill the daemon, at the latest before it is told anything more */
  crashAt(crash: Crash): void {
    this.#crash ??= crash;
  }

  /** It does not die by itself any more. */
  spare(): void {
    if (!this.#isOver) this.#crash = null;
  }

  /** The daemon is gone. */
  end(): void {
    this.#isOver = true;
  }

  #act<T>(happen: () => T, undone: T): T {
    if (this.#isOver) return undone;
    const crash = this.#crash;
    if (crash === null || crash.left-- > 0) return happen();
    const result = crash.isBefore ? undone : happen();
    this.#isOver = true;
    crash.happen();
    return result;
  }

  /** A line that is being written when its daemon is killed is not there for the next one. */
  journal(to: Journal): Journal {
    return {
      load: () => to.load(),
      append: (line) => this.#act(() => to.append(line), false),
      replace: (lines) => this.#act(() => to.replace(lines), false),
      forget: () => this.#act(() => to.forget(), false),
    };
  }

  connection(to: Connection): Connection {
    const { send, end, close } = to;
    return Object.assign(to, {
      send: (bytes: Uint8Array) => this.#act(() => send(bytes), true),
      end: () => this.#act(end, undefined),
      close: () => this.#act(close, undefined),
    });
  }

  sockets(to: Sockets): Sockets {
    return {
      listen: (at, accept) => to.listen(at, accept),
      connect: (path, timeoutMs, answer) =>
        this.#act(() => {
          to.connect(path, timeoutMs, (opened) => {
            if (opened.ok) answer({ ok: true, connection: this.connection(opened.connection) });
            else answer(opened);
          });
        }, undefined),
    };
  }

  processes(to: Processes): Processes {
    return {
      ...to,
      startLeaseProcess: <Out, In>(label: string, format: MessageFormat<Out, In>) =>
        this.#channel(to.startLeaseProcess(label, format)),
      run: (program, args) => this.#act(() => to.run(program, args), undefined),
    };
  }

  #channel<Out, In>(to: Channel<Out, In>): Channel<Out, In> {
    return {
      ...to,
      send: (message) => this.#act(() => to.send(message), undefined),
      sendNewest: (message) => this.#act(() => to.sendNewest(message), undefined),
      kill: () => this.#act(() => to.kill(), undefined),
    };
  }
}
