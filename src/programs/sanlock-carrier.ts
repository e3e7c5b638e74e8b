import { ERRNO } from '../base/errno.ts';
import type { Result } from '../base/result.ts';
import { openLink, type SanlockEndpoint, type SanlockLink } from '../client/sanlock-link.ts';
import { sanlockCallOf } from '../lvmlockd/managers/sanlock/ask.ts';
import type { ManagerReply, SessionEffect } from '../lvmlockd/managers/steps.ts';
import type { Log } from '../ports/log.ts';
import { endsConnection, type SanlockCall } from '../wire/sanlock/call.ts';
import { makeFailure, type SanlockFailure } from '../wire/sanlock/failure.ts';
import type { Carrier, Exchange } from './lvmlockd-tasks.ts';

type Answered = (reply: ManagerReply) => void;

interface Call {
  readonly call: SanlockCall<unknown>;
  readonly deadlineMs: number;
}

interface Session {
  readonly link: SanlockLink;
  /** Calls one at a time: sanlock refuses a second one for the same process (spec 20 §6). */
  readonly queue: (() => void)[];
  isBusy: boolean;
}

/** Carries lvmlockd's calls to sanlock: each lockspace has a registered connection of its own. */
export class SanlockCarrier implements Carrier {
  readonly #endpoint: SanlockEndpoint;
  readonly #log: Log;
  readonly #sessionLost: (session: number) => void;
  readonly #sessions = new Map<number, Session>();

  constructor(endpoint: SanlockEndpoint, log: Log, sessionLost: (session: number) => void) {
    this.#endpoint = endpoint;
    this.#log = log;
    this.#sessionLost = sessionLost;
  }

  begin(): Exchange {
    /** Reused from call to call. */
    let link: SanlockLink | null = null;
    const callAnywhere = ({ call, deadlineMs }: Call, answered: Answered) => {
      const place = (open: SanlockLink) => {
        const isLast = endsConnection(call);
        link = isLast ? null : open;
        open.call(call, deadlineMs, (result) => {
          if (isLast) open.close();
          this.#answer(result, answered);
        });
      };
      if (link !== null && !link.isClosed) place(link);
      else this.#open({ call, deadlineMs }, answered, place);
    };
    return {
      carry: (effect, answered) => this.#carry(effect, answered, callAnywhere),
      close: () => link?.close(),
    };
  }

  close(): void {
    for (const session of this.#sessions.values()) session.link.close();
    this.#sessions.clear();
  }

  #carry(
    effect: SessionEffect,
    answered: Answered,
    callAnywhere: (call: Call, answered: Answered) => void,
  ): void {
    if (effect.kind === 'closeSession') {
      this.#closeSession(effect.session);
      answered({ kind: 'sessionClosed' });
      return;
    }
    const { deadlineMs } = effect;
    const call = { call: sanlockCallOf(effect), deadlineMs };
    if (effect.kind === 'openSession') this.#openSession(effect.session, call, answered);
    else if (effect.session === null) callAnywhere(call, answered);
    else this.#callInSession(effect.session, call, answered);
  }

  /** `then` is not called when sanlock is not reached. */
  #open({ call, deadlineMs }: Call, answered: Answered, then: (link: SanlockLink) => void): void {
    const limits = { during: call.name, timeoutMs: deadlineMs };
    openLink(this.#endpoint, limits, (opened) => {
      if (opened.ok) then(opened.value);
      else this.#answer(opened, answered);
    });
  }

  #openSession(id: number, of: Call, answered: Answered): void {
    this.#open(of, answered, (link) => {
      this.#sessions.set(id, { link, queue: [], isBusy: false });
      link.onClosed(() => {
        this.#sessions.delete(id);
        this.#sessionLost(id);
      });
      link.call(of.call, of.deadlineMs, (result) => this.#answer(result, answered));
    });
  }

  #closeSession(id: number): void {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    session?.link.close();
  }

  #callInSession(id: number, { call, deadlineMs }: Call, answered: Answered): void {
    const session = this.#sessions.get(id);
    if (session === undefined) {
      answered({ kind: 'answer', answer: { ok: false, error: this.#lost(call) } });
      return;
    }
    session.queue.push(() => {
      session.link.call(call, deadlineMs, (result) => {
        session.isBusy = false;
        this.#answer(result, answered);
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

  #answer(result: Result<unknown, SanlockFailure>, answered: Answered): void {
    // The raw number is kept in the log: what lvm gets is translated.
    if (!result.ok) {
      const { code, message } = result.error;
      this.#log.debug('sanlock.refused', { code, reason: message });
    }
    answered({ kind: 'answer', answer: result });
  }

  /** The session ended before, or was never opened. */
  #lost(call: SanlockCall<unknown>): SanlockFailure {
    const { socketPath } = this.#endpoint;
    return makeFailure({
      code: -ERRNO.ENOTCONN,
      outcome: 'unsent',
      call: call.name,
      socketPath,
    });
  }
}
