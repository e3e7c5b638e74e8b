import { unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { type EventWatch, watchEvents } from '../client/sanlock-events.ts';
import { callOnce, type SanlockEndpoint } from '../client/sanlock-link.ts';
import type { WdmdEntry } from '../client/wdmd.ts';
import type { Log } from '../ports/log.ts';
import { nextTickMs, stepResetd } from '../reset/daemon.ts';
import {
  newState,
  type ResetdEffect,
  type ResetdEvent,
  type ResetdSettings,
  type ResetdState,
} from '../reset/state.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import { getHosts, setConfig, setEvent } from '../wire/sanlock/daemon-calls.ts';
import type { ReceivedEvent } from '../wire/sanlock/events.ts';
import { CONFIG_COMMANDS } from '../wire/sanlock/socket.ts';
import { StepLoop } from './step-loop.ts';

export interface ResetdPorts {
  readonly settings: ResetdSettings;
  /** The local sanlock, and the clock. */
  readonly sanlock: SanlockEndpoint;
  /** null with `-w 0`. */
  readonly watchdog: Pick<WdmdEntry, 'live' | 'leave'> | null;
  readonly log: Log;
  readonly reboot: () => void;
  /** Once: the lockspaces of the command line that cannot be listened in. */
  readonly started: (missing: readonly ByteString[]) => void;
  readonly ended: () => void;
}

/** sanlk-resetd assembled over ports: datagrams and events of lockspaces in, effects out. */
export class ResetdProgram {
  readonly #ports: ResetdPorts;
  readonly #state: ResetdState;
  readonly #watches = new Map<number, EventWatch>();
  readonly #loop: StepLoop<ResetdEvent, ResetdEffect>;

  constructor(ports: ResetdPorts) {
    this.#ports = ports;
    this.#state = newState(ports.settings);
    this.#loop = new StepLoop<ResetdEvent, ResetdEffect>(ports.sanlock.clock, {
      step: (event, nowMs) => stepResetd(this.#state, event, nowMs),
      perform: (effect) => this.#perform(effect),
      nextTickMs: () => nextTickMs(this.#state),
      tick: { kind: 'tick' },
    });
  }

  start(names: readonly ByteString[]): void {
    this.#loop.post({ kind: 'start', names });
  }

  /** A datagram of `sanlk-reset reg|end|clear`. */
  control(bytes: Uint8Array): void {
    this.#loop.post({ kind: 'control', bytes });
  }

  /** SIGTERM, SIGINT. Safe to repeat. */
  stop(): void {
    this.#loop.post({ kind: 'stop' });
  }

  #perform(effect: ResetdEffect): void {
    const { log, sanlock, watchdog } = this.#ports;
    switch (effect.kind) {
      case 'openWatch':
        this.#openWatch(effect.watch, effect.name);
        return;
      case 'closeWatch':
        this.#watches.get(effect.watch)?.close();
        this.#watches.delete(effect.watch);
        return;
      case 'readGeneration':
        callOnce(sanlock, getHosts(effect.name, effect.hostId), undefined, (result) => {
          const generation = result.ok ? (result.value[0]?.generation ?? null) : null;
          this.#loop.post({ kind: 'generationRead', request: effect.request, generation });
        });
        return;
      case 'setUsed':
        this.#call(setConfig(effect.name, CONFIG_COMMANDS.USED), (code) =>
          this.#loop.post({ kind: 'usedSet', request: effect.request, code }),
        );
        return;
      case 'expire':
        watchdog?.live(0, (isTaken) =>
          this.#loop.post({ kind: 'expirySet', request: effect.request, isTaken }),
        );
        return;
      case 'setEvent':
        this.#call(setEvent(effect.name, effect.event, effect.flags), (code) =>
          this.#loop.post({ kind: 'eventSet', request: effect.request, code }),
        );
        return;
      case 'started':
        this.#ports.started(effect.missing);
        return;
      case 'reboot':
        this.#ports.reboot();
        return;
      case 'leaveWatchdog':
        watchdog?.leave();
        return;
      case 'ended':
        this.#ports.ended();
        return;
      case 'log':
        log[effect.level](effect.event, effect.fields);
        return;
      default:
        unreachable(effect);
    }
  }

  #openWatch(watch: number, name: ByteString): void {
    const handlers = {
      onEvent: (event: ReceivedEvent) => this.#loop.post({ kind: 'received', watch, event }),
      onClosed: () => {
        this.#watches.delete(watch);
        this.#loop.post({ kind: 'watchClosed', watch });
      },
    };
    watchEvents(this.#ports.sanlock, name, handlers, (opened) => {
      if (!opened.ok) {
        this.#loop.post({ kind: 'watchRefused', watch, code: opened.error.code });
        return;
      }
      this.#watches.set(watch, opened.value);
      this.#loop.post({ kind: 'watchOpened', watch });
    });
  }

  #call(call: SanlockCall<number>, answer: (code: number) => void): void {
    callOnce(this.#ports.sanlock, call, undefined, (result) =>
      answer(result.ok ? result.value : result.error.code),
    );
  }
}
