import { assert } from '../base/assert.ts';
import { openLink, type SanlockEndpoint, type SanlockLink } from '../client/sanlock-link.ts';
import type { ManagerReply, ManagerSteps } from '../lvmlockd/managers/manager.ts';
import type { SanlockAnswer, SanlockAsk } from '../lvmlockd/managers/sanlock/asks.ts';
import type { Devices } from '../ports/devices.ts';
import type { Log } from '../ports/log.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { CLOSING_CALLS, callOf, EMPTY_ANSWER } from './sanlock-commands.ts';

export interface TaskPorts {
  readonly sanlock: SanlockEndpoint;
  readonly devices: Devices;
  readonly log: Log;
}

interface Task {
  readonly steps: ManagerSteps<unknown>;
  readonly ended: (outcome: unknown) => void;
  /** Reused from call to call; closed with the task. */
  link: SanlockLink | null;
}

interface Session {
  readonly link: SanlockLink;
  /** Calls one at a time: sanlock refuses a second one for the same process (spec 20 §6). */
  readonly queue: (() => void)[];
  isBusy: boolean;
}

/** Runs lock manager procedures, as many as the daemon lets (its limits): their questions go to sanlock, the clock and sysfs. */
export class LvmlockdTasks {
  readonly #ports: TaskPorts;
  readonly #sessionLost: (session: number) => void;
  readonly #sessions = new Map<number, Session>();

  constructor(ports: TaskPorts, sessionLost: (session: number) => void) {
    this.#ports = ports;
    this.#sessionLost = sessionLost;
  }

  /** `ended` is called once, possibly before this returns. */
  run(steps: ManagerSteps<unknown>, ended: (outcome: unknown) => void): void {
    this.#advance({ steps, ended, link: null }, null);
  }

  close(): void {
    for (const session of this.#sessions.values()) session.link.close();
    this.#sessions.clear();
  }

  #advance(task: Task, reply: ManagerReply | null): void {
    // The first `next` of a generator takes no value.
    const turn = reply === null ? task.steps.next(NO_REPLY) : task.steps.next(reply);
    if (turn.done === true) {
      task.link?.close();
      task.ended(turn.value);
      return;
    }
    const effect = turn.value;
    const answered = (answer: ManagerReply) => this.#advance(task, answer);
    if (effect.kind === 'sleep') {
      this.#ports.sanlock.clock.after(effect.forMs, () => answered({ kind: 'slept' }));
    } else if (effect.kind === 'device') {
      answered({ kind: 'device', ...this.#ports.devices.probe(effect.path) });
    } else if (effect.session === null) {
      this.#askAnywhere(task, effect, answered);
    } else {
      this.#askInSession(effect.session, effect, answered);
    }
  }

  #askAnywhere(task: Task, ask: SanlockAsk, answered: (answer: SanlockAnswer) => void): void {
    const { command } = ask;
    assert(command.call !== 'hangUp', 'only a session is hung up');
    const call = callOf(command);
    const place = () => {
      const link = task.link;
      if (link === null) return;
      if (CLOSING_CALLS.has(command.call)) task.link = null;
      link.call(call, ask.deadlineMs, (result) => {
        if (CLOSING_CALLS.has(command.call)) link.close();
        answered(result.ok ? result.value : this.#failed(result.error));
      });
    };
    if (task.link !== null && !task.link.isClosed) {
      place();
      return;
    }
    const limits = { during: call.name, timeoutMs: ask.deadlineMs };
    openLink(this.#ports.sanlock, limits, (opened) => {
      if (!opened.ok) {
        answered(this.#failed(opened.error));
        return;
      }
      task.link = opened.value;
      place();
    });
  }

  #askInSession(id: number, ask: SanlockAsk, answered: (answer: SanlockAnswer) => void): void {
    const { command } = ask;
    if (command.call === 'hangUp') {
      const session = this.#sessions.get(id);
      this.#sessions.delete(id);
      session?.link.close();
      answered(EMPTY_ANSWER);
      return;
    }
    const call = callOf(command);
    if (command.call === 'register') {
      this.#register(id, { call, deadlineMs: ask.deadlineMs }, answered);
      return;
    }
    const session = this.#sessions.get(id);
    if (session === undefined) {
      answered({ ...EMPTY_ANSWER, code: NOT_CONNECTED, answered: false });
      return;
    }
    session.queue.push(() => {
      session.link.call(call, ask.deadlineMs, (result) => {
        session.isBusy = false;
        answered(result.ok ? result.value : this.#failed(result.error));
        this.#nextInSession(session);
      });
    });
    this.#nextInSession(session);
  }

  #nextInSession(session: Session): void {
    if (session.isBusy) return;
    const next = session.queue.shift();
    if (next === undefined) return;
    session.isBusy = true;
    next();
  }

  #register(
    id: number,
    ask: { readonly call: SanlockCall<SanlockAnswer>; readonly deadlineMs: number },
    answered: (answer: SanlockAnswer) => void,
  ): void {
    const limits = { during: 'register', timeoutMs: ask.deadlineMs };
    openLink(this.#ports.sanlock, limits, (opened) => {
      if (!opened.ok) {
        answered(this.#failed(opened.error));
        return;
      }
      const link = opened.value;
      this.#sessions.set(id, { link, queue: [], isBusy: false });
      link.onClosed(() => {
        this.#sessions.delete(id);
        this.#sessionLost(id);
      });
      link.call(ask.call, ask.deadlineMs, (result) => {
        answered(result.ok ? result.value : this.#failed(result.error));
      });
    });
  }

  #failed(failure: SanlockFailure): SanlockAnswer {
    const isRefused = failure.outcome === 'refused';
    // The raw number is kept in the log: what lvm gets is translated.
    this.#ports.log.debug('sanlock.refused', { code: failure.code, reason: failure.message });
    return { ...EMPTY_ANSWER, code: failure.code, answered: isRefused };
  }
}

const NO_REPLY: ManagerReply = { kind: 'slept' };
const NOT_CONNECTED = -107;
