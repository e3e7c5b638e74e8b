import { assert, unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import type { Result } from '../base/result.ts';
import {
  callOnce,
  openLink,
  type SanlockEndpoint,
  type SanlockLink,
} from '../client/sanlock-link.ts';
import type { WdmdEntry } from '../client/wdmd.ts';
import { nextTickMs, stepFence } from '../fence/daemon.ts';
import type { FenceStart } from '../fence/start-message.ts';
import {
  type Failure,
  type FenceEffect,
  type FenceEvent,
  type FenceSignal,
  type FenceState,
  newState,
} from '../fence/state.ts';
import type { Log } from '../ports/log.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { StepLoop } from './step-loop.ts';

export interface FencePorts {
  readonly start: FenceStart;
  readonly killpath: ByteString;
  /** The local sanlock, and the clock. */
  readonly sanlock: SanlockEndpoint;
  readonly watchdog: Pick<WdmdEntry, 'live' | 'clear' | 'leave'>;
  readonly log: Log;
  /** The host ids that fence_sanlock processes here are fencing. */
  readonly agentVictims: () => readonly number[];
  /** This host can be fenced from now on. */
  readonly started: () => void;
  /** null: in order. Else why it could not start, or not end as it should. */
  readonly ended: (failure: Failure) => void;
}

/** fence_sanlockd assembled over ports: signals and answers in, effects out. */
export class FenceProgram {
  readonly #ports: FencePorts;
  readonly #state: FenceState;
  readonly #loop: StepLoop<FenceEvent, FenceEffect>;
  #link: SanlockLink | null = null;

  constructor(ports: FencePorts) {
    this.#ports = ports;
    this.#state = newState({ start: ports.start, killpath: ports.killpath });
    this.#loop = new StepLoop<FenceEvent, FenceEffect>(ports.sanlock.clock, {
      step: (event, nowMs) => stepFence(this.#state, event, nowMs),
      perform: (effect) => this.#perform(effect),
      nextTickMs: () => nextTickMs(this.#state),
      tick: { kind: 'tick' },
    });
  }

  start(): void {
    this.#loop.post({ kind: 'start' });
  }

  signal(kind: FenceSignal): void {
    this.#loop.post({ kind });
  }

  #perform(effect: FenceEffect): void {
    const { log, sanlock, watchdog } = this.#ports;
    switch (effect.kind) {
      case 'readStatus':
        callOnce(sanlock, effect.call, effect.timeoutMs, (result) =>
          this.#loop.post({ kind: 'statusRead', result }),
        );
        return;
      case 'connect':
        this.#connect();
        return;
      case 'call':
        this.#call(effect);
        return;
      case 'setExpiry':
        watchdog.live(effect.seconds, (isTaken) => this.#loop.post({ kind: 'expirySet', isTaken }));
        return;
      case 'clearExpiry':
        watchdog.clear((isTaken) => this.#loop.post({ kind: 'expiryCleared', isTaken }));
        return;
      case 'leaveWatchdog':
        watchdog.leave();
        return;
      case 'findAgents':
        this.#loop.post({ kind: 'agents', victims: this.#ports.agentVictims() });
        return;
      case 'started':
        this.#ports.started();
        return;
      case 'ended':
        this.#ports.ended(effect.failure);
        return;
      case 'log':
        log[effect.level](effect.event, effect.fields);
        return;
      default:
        unreachable(effect);
    }
  }

  #connect(): void {
    openLink(this.#ports.sanlock, { during: 'register' }, (opened) => {
      if (!opened.ok) {
        this.#loop.post({ kind: 'connected', failure: opened.error.message });
        return;
      }
      this.#link = opened.value;
      opened.value.onClosed(() => this.#loop.post({ kind: 'disconnected' }));
      this.#loop.post({ kind: 'connected', failure: null });
    });
  }

  #call({ step, call, over, timeoutMs }: Extract<FenceEffect, { kind: 'call' }>): void {
    const answer = (result: Result<number, SanlockFailure>): void =>
      this.#loop.post({ kind: 'called', step, result });
    if (over === 'own') {
      callOnce(this.#ports.sanlock, call, timeoutMs, answer);
      return;
    }
    assert(this.#link !== null, 'the connection is open before calls go over it');
    this.#link.call(call, timeoutMs, answer);
  }
}
