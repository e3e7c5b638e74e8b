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
import type { Timer } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';

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
  readonly #events: FenceEvent[] = [];
  #link: SanlockLink | null = null;
  #isStepping = false;
  #timer: Timer | null = null;

  constructor(ports: FencePorts) {
    this.#ports = ports;
    this.#state = newState({ start: ports.start, killpath: ports.killpath });
  }

  start(): void {
    this.#post({ kind: 'start' });
  }

  signal(kind: FenceSignal): void {
    this.#post({ kind });
  }

  /** Events are handled one after another, also those that arise while one is handled. */
  #post(event: FenceEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    const { clock } = this.#ports.sanlock;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const effect of stepFence(this.#state, next, clock.nowMs())) this.#perform(effect);
    }
    this.#isStepping = false;
    this.#arm();
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const tickMs = nextTickMs(this.#state);
    if (tickMs === null) return;
    const { clock } = this.#ports.sanlock;
    // Whole milliseconds: a remainder too small for the clock would never pass.
    const delayMs = Math.ceil(Math.max(0, tickMs - clock.nowMs()));
    this.#timer = clock.after(delayMs, () => this.#post({ kind: 'tick' }));
  }

  #perform(effect: FenceEffect): void {
    const { log, sanlock, watchdog } = this.#ports;
    switch (effect.kind) {
      case 'readStatus':
        callOnce(sanlock, effect.call, effect.timeoutMs, (result) =>
          this.#post({ kind: 'statusRead', result }),
        );
        return;
      case 'connect':
        this.#connect();
        return;
      case 'call':
        this.#call(effect);
        return;
      case 'setExpiry':
        watchdog.live(effect.seconds, (isTaken) => this.#post({ kind: 'expirySet', isTaken }));
        return;
      case 'clearExpiry':
        watchdog.clear((isTaken) => this.#post({ kind: 'expiryCleared', isTaken }));
        return;
      case 'leaveWatchdog':
        watchdog.leave();
        return;
      case 'findAgents':
        this.#post({ kind: 'agents', victims: this.#ports.agentVictims() });
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
        this.#post({ kind: 'connected', failure: opened.error.message });
        return;
      }
      this.#link = opened.value;
      opened.value.onClosed(() => this.#post({ kind: 'disconnected' }));
      this.#post({ kind: 'connected', failure: null });
    });
  }

  #call({ step, call, over, timeoutMs }: Extract<FenceEffect, { kind: 'call' }>): void {
    const answer = (result: Result<number, SanlockFailure>): void =>
      this.#post({ kind: 'called', step, result });
    if (over === 'own') {
      callOnce(this.#ports.sanlock, call, timeoutMs, answer);
      return;
    }
    assert(this.#link !== null, 'the connection is open before calls go over it');
    this.#link.call(call, timeoutMs, answer);
  }
}
