import { unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, type Result } from '../base/result.ts';
import { deliverEvents } from '../client/sanlock-events.ts';
import { openLink, type SanlockEndpoint, type SanlockLink } from '../client/sanlock-link.ts';
import type { HeardNotice } from '../lvmlockd/managers/manager.ts';
import { sanlockCallOf, sanlockCallsOf } from '../lvmlockd/managers/sanlock/ask.ts';
import { noticeOf } from '../lvmlockd/managers/sanlock/host-notices.ts';
import type { ManagerReply, SessionEffect } from '../lvmlockd/managers/steps.ts';
import type { Log } from '../ports/log.ts';
import { endsConnection, opensChannel, type SanlockCall } from '../wire/sanlock/call.ts';
import type { ReceivedEvent } from '../wire/sanlock/events.ts';
import { makeFailure, type SanlockFailure } from '../wire/sanlock/failure.ts';
import type { Carrier, Exchange } from './lvmlockd-tasks.ts';

type Answered = (reply: ManagerReply) => void;
type CallResult = Result<unknown, SanlockFailure>;

interface Session {
  readonly link: SanlockLink;
  /** Calls one at a time: sanlock refuses a second one for the same process (spec 20 §6). */
  readonly queue: (() => void)[];
  isBusy: boolean;
}

/** What happens to a lockspace's connections by itself. */
export interface SessionEvents {
  readonly sessionLost: (session: number) => void;
  readonly heard: (session: number, notice: HeardNotice) => void;
}

/**
 * Carries lvmlockd's calls to sanlock: each lockspace has a registered connection of its own, and
 * one more on which it hears from other hosts.
 */
export class SanlockCarrier implements Carrier {
  readonly #endpoint: SanlockEndpoint;
  readonly #log: Log;
  readonly #events: SessionEvents;
  readonly #sessions = new Map<number, Session>();

  constructor(endpoint: SanlockEndpoint, log: Log, events: SessionEvents) {
    this.#endpoint = endpoint;
    this.#log = log;
    this.#events = events;
  }

  begin(): Exchange {
    return new SanlockExchange(this);
  }

  close(): void {
    for (const session of this.#sessions.values()) session.link.close();
    this.#sessions.clear();
  }

  /** Connects for a call; `then` is not called when sanlock is not reached. */
  connect(
    order: { readonly call: SanlockCall<unknown>; readonly deadlineMs: number },
    failed: (result: CallResult) => void,
    then: (link: SanlockLink) => void,
  ): void {
    const limits = { during: order.call.name, timeoutMs: order.deadlineMs };
    openLink(this.#endpoint, limits, (opened) => {
      if (opened.ok) then(opened.value);
      else failed(opened);
    });
  }

  openSession(effect: SessionEffect & { kind: 'openSession' }, answered: Answered): void {
    const { session: id, deadlineMs } = effect;
    const call = sanlockCallOf(effect);
    const settle = (result: CallResult) => this.answer(result, answered);
    this.connect({ call, deadlineMs }, settle, (link) => {
      const session: Session = { link, queue: [], isBusy: false };
      this.#sessions.set(id, session);
      link.onClosed(() => {
        if (this.#sessions.get(id) !== session) return; // another was opened instead
        this.#sessions.delete(id);
        this.#events.sessionLost(id);
      });
      link.call(call, deadlineMs, (result) => {
        if (result.ok && opensChannel(call)) deliverEvents(link, (event) => this.#hear(id, event));
        settle(result);
      });
    });
  }

  closeSession(id: number): void {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    session?.link.close();
  }

  /** Another host tells something. */
  #hear(id: number, event: ReceivedEvent): void {
    const notice = noticeOf(event);
    if (notice !== null) this.#events.heard(id, notice);
  }

  callInSession(id: number, effect: SessionEffect & { kind: 'call' }, answered: Answered): void {
    const call = sanlockCallOf(effect);
    const session = this.#sessions.get(id);
    if (session === undefined) {
      answered({ kind: 'answer', answer: fail(this.#notConnected(call)) });
      return;
    }
    session.queue.push(() => {
      session.link.call(call, effect.deadlineMs, (result) => {
        session.isBusy = false;
        this.answer(result, answered);
        this.#nextIn(session);
      });
    });
    this.#nextIn(session);
  }

  #nextIn(session: Session): void {
    if (session.isBusy) return;
    const next = session.queue.shift();
    if (next === undefined) return;
    session.isBusy = true;
    next();
  }

  answer(result: CallResult, answered: Answered): void {
    this.note(result);
    answered({ kind: 'answer', answer: result });
  }

  /** The raw number is kept in the log: lvm gets a translated one. */
  note(result: CallResult): void {
    if (result.ok) return;
    const { code, message } = result.error;
    this.#log.debug('sanlock.refused', { code, reason: message });
  }

  /** The session was lost, or never opened. */
  #notConnected(call: SanlockCall<unknown>): SanlockFailure {
    const { socketPath } = this.#endpoint;
    const code = -ERRNO.ENOTCONN;
    return makeFailure({ code, outcome: 'unsent', call: call.name, socketPath });
  }
}

class SanlockExchange implements Exchange {
  readonly #carrier: SanlockCarrier;
  /** For calls outside of sessions: those that no call is on, reused until sanlock closes them. */
  readonly #resting: SanlockLink[] = [];

  constructor(carrier: SanlockCarrier) {
    this.#carrier = carrier;
  }

  carry(effect: SessionEffect, answered: Answered): void {
    switch (effect.kind) {
      case 'call':
        if (effect.session === null) this.#callOne(effect, answered);
        else this.#carrier.callInSession(effect.session, effect, answered);
        return;
      case 'calls':
        this.#callEach(effect, answered);
        return;
      case 'openSession':
        this.#carrier.openSession(effect, answered);
        return;
      case 'closeSession':
        this.#carrier.closeSession(effect.session);
        answered({ kind: 'sessionClosed' });
        return;
      default:
        unreachable(effect);
    }
  }

  close(): void {
    for (const link of this.#resting) link.close();
  }

  #callOne(effect: SessionEffect & { kind: 'call' }, answered: Answered): void {
    const order = { call: sanlockCallOf(effect), deadlineMs: effect.deadlineMs };
    this.#callAnywhere(order, (result) => this.#carrier.answer(result, answered));
  }

  /** Each over a connection of its own: sanlock takes one call at a time from a connection. */
  #callEach(effect: SessionEffect & { kind: 'calls' }, answered: Answered): void {
    const calls = sanlockCallsOf(effect);
    const answers = new Map<number, CallResult>();
    for (const [index, call] of calls.entries()) {
      this.#callAnywhere({ call, deadlineMs: effect.deadlineMs }, (result) => {
        this.#carrier.note(result);
        answers.set(index, result);
        if (answers.size < calls.length) return;
        answered({ kind: 'answers', answers: calls.map((_, at) => answers.get(at)) });
      });
    }
  }

  #callAnywhere(
    order: { readonly call: SanlockCall<unknown>; readonly deadlineMs: number },
    settle: (result: CallResult) => void,
  ): void {
    const place = (link: SanlockLink) => {
      link.call(order.call, order.deadlineMs, (result) => {
        if (endsConnection(order.call)) link.close();
        else this.#resting.push(link);
        settle(result);
      });
    };
    let link = this.#resting.pop();
    while (link?.isClosed === true) link = this.#resting.pop();
    if (link !== undefined) place(link);
    else this.#carrier.connect(order, settle, place);
  }
}
