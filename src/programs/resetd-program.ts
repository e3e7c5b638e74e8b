import { unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { type EventWatch, watchEvents } from '../client/sanlock-events.ts';
import { callOnce, type SanlockEndpoint } from '../client/sanlock-link.ts';
import type { WdmdEntry } from '../client/wdmd.ts';
import type { Timer } from '../ports/clock.ts';
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
  readonly #events: ResetdEvent[] = [];
  #isStepping = false;
  #timer: Timer | null = null;

  constructor(ports: ResetdPorts) {
    this.#ports = ports;
    this.#state = newState(ports.settings);
  }

  start(names: readonly ByteString[]): void {
    this.#post({ kind: 'start', names });
  }

  /** A datagram of `sanlk-reset reg|end|clear`. */
  control(bytes: Uint8Array): void {
    this.#post({ kind: 'control', bytes });
  }

  /** SIGTERM, SIGINT. Safe to repeat. */
  stop(): void {
    this.#post({ kind: 'stop' });
  }

  /** Events are handled one after another, also those that arise while one is handled. */
  #post(event: ResetdEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    const { clock } = this.#ports.sanlock;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const effect of stepResetd(this.#state, next, clock.nowMs())) this.#perform(effect);
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
          this.#post({ kind: 'generationRead', request: effect.request, generation });
        });
        return;
      case 'setUsed':
        this.#call(setConfig(effect.name, CONFIG_COMMANDS.USED), (code) =>
          this.#post({ kind: 'usedSet', request: effect.request, code }),
        );
        return;
      case 'expire':
        watchdog?.live(0, (isTaken) =>
          this.#post({ kind: 'expirySet', request: effect.request, isTaken }),
        );
        return;
      case 'setEvent':
        this.#call(setEvent(effect.name, effect.event, effect.flags), (code) =>
          this.#post({ kind: 'eventSet', request: effect.request, code }),
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
      onEvent: (event: ReceivedEvent) => this.#post({ kind: 'received', watch, event }),
      onClosed: () => {
        this.#watches.delete(watch);
        this.#post({ kind: 'watchClosed', watch });
      },
    };
    watchEvents(this.#ports.sanlock, name, handlers, (opened) => {
      if (!opened.ok) {
        this.#post({ kind: 'watchRefused', watch, code: opened.error.code });
        return;
      }
      this.#watches.set(watch, opened.value);
      this.#post({ kind: 'watchOpened', watch });
    });
  }

  #call(call: SanlockCall<number>, answer: (code: number) => void): void {
    callOnce(this.#ports.sanlock, call, undefined, (result) =>
      answer(result.ok ? result.value : result.error.code),
    );
  }
}
