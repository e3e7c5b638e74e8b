import type { ByteString } from '../../base/bytes.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { ReceivedEvent } from '../../wire/sanlock/events.ts';
import { EVENT_FLAGS } from '../../wire/sanlock/socket.ts';
import type { HostEvent } from '../../wire/sanlock/types.ts';
import { type ControlMessage, parseControl } from './control-message.ts';
import { RESET_EVENTS } from './host-event-bits.ts';

export const MAX_LOCKSPACES = 64;

export interface ResetdSettings {
  /** wdmd resets this host (`-w`). */
  readonly useWatchdog: boolean;
  /** Reboots by sysrq are served (`-b`), so long after the request (`-d`). */
  readonly sysrqReboot: boolean;
  readonly sysrqDelayS: number;
  /** Resource leases protect the storage, the lockspace need not be kept (`-R`). */
  readonly resourceMode: boolean;
}

/** Codes as those of libsanlock: 0, or negative. Each answer comes once. */
export interface ResetdSanlock {
  watch(
    name: ByteString,
    handlers: { onEvent: (event: ReceivedEvent) => void; onClosed: () => void },
    answer: (code: number, watch: { close(): void } | null) => void,
  ): void;
  setUsed(name: ByteString, answer: (code: number) => void): void;
  setEvent(
    name: ByteString,
    order: { readonly event: HostEvent; readonly flags: number },
    answer: (code: number) => void,
  ): void;
  /** The generation of a host; null when sanlock does not tell. */
  generationOf(name: ByteString, hostId: bigint, answer: (found: bigint | null) => void): void;
}

export interface ResetdWatchdog {
  /** Our entry expires now. Answers true once wdmd has it. */
  expireNow(answer: (isTaken: boolean) => void): void;
  /** Takes our claim back and leaves. */
  leave(): void;
}

export interface ResetdParts {
  readonly settings: ResetdSettings;
  readonly clock: Clock;
  readonly log: Log;
  readonly sanlock: ResetdSanlock;
  /** null with `-w 0`. */
  readonly watchdog: ResetdWatchdog | null;
  readonly reboot: () => void;
}

/** Serves the requests of other hosts to reset this one (spec 25 §6). */
export class Resetd {
  readonly #parts: ResetdParts;
  /** null: being registered. */
  readonly #watched = new Map<ByteString, { close(): void } | null>();
  #rebooting = false;
  /** Once wdmd has our expiry there is no way back. */
  #expired = false;
  #over = false;

  constructor(parts: ResetdParts) {
    this.#parts = parts;
  }

  /** @param answer once: 0, or why not */
  listen(name: ByteString, answer: (code: number) => void): void {
    if (this.#watched.has(name)) {
      answer(0);
      return;
    }
    if (this.#watched.size >= MAX_LOCKSPACES) {
      this.#parts.log.error('lockspace.tooMany', { lockspace: name, lockspaces: MAX_LOCKSPACES });
      answer(-7);
      return;
    }
    this.#watched.set(name, null);
    const handlers = {
      onEvent: (event: ReceivedEvent) => this.#heard(name, event),
      onClosed: () => this.#lost(name),
    };
    this.#parts.sanlock.watch(name, handlers, (code, watch) => {
      if (watch === null) {
        this.#watched.delete(name);
        this.#parts.log.error('lockspace.notWatched', { lockspace: name, code });
      } else if (this.#over || !this.#watched.has(name)) watch.close();
      else {
        this.#watched.set(name, watch);
        this.#parts.log.info('lockspace.watched', { lockspace: name });
      }
      answer(code);
    });
  }

  /** A datagram of `sanlk-reset reg|end|clear`. */
  told(bytes: Uint8Array): void {
    const parsed = parseControl(bytes);
    if (parsed.ok) this.#obey(parsed.value);
    else this.#parts.log.warn('control.refused', { reason: parsed.error });
  }

  /** Ends the channels; the claim on wdmd goes last. */
  end(): void {
    this.#over = true;
    for (const name of [...this.#watched.keys()]) this.#stop(name);
    this.#parts.watchdog?.leave();
  }

  #obey({ action, name }: ControlMessage): void {
    if (action === 'reg') this.listen(name, () => {});
    else if (action === 'end') this.#stop(name);
    else for (const watched of [...this.#watched.keys()]) this.#stop(watched);
  }

  #stop(name: ByteString): void {
    const watch = this.#watched.get(name);
    this.#watched.delete(name);
    watch?.close();
  }

  #lost(name: ByteString): void {
    if (!this.#watched.delete(name)) return;
    this.#parts.log.warn('lockspace.gone', { lockspace: name });
  }

  #heard(name: ByteString, event: ReceivedEvent): void {
    const { RESET, REBOOT } = RESET_EVENTS;
    if (this.#over || (event.event & (RESET | REBOOT)) === 0n) return;
    if (event.generation === 0n) {
      this.#asked(name, event);
      return;
    }
    // Other hosts carry an event for a while: one for this host's former life is not for us.
    this.#parts.sanlock.generationOf(name, event.hostId, (own) => {
      if (own === event.generation) this.#asked(name, event);
      else {
        const { generation, fromHostId } = event;
        const fields = { lockspace: name, generation, fromHostId, own };
        this.#parts.log.warn('event.notForThisLife', fields);
      }
    });
  }

  #asked(name: ByteString, event: ReceivedEvent): void {
    const { settings, log, watchdog } = this.#parts;
    const { fromHostId, event: bits } = event;
    log.warn('reset.asked', { lockspace: name, fromHostId, event: bits });
    const reboots = (bits & RESET_EVENTS.REBOOT) !== 0n && settings.sysrqReboot;
    if (reboots) this.#rebootSoon();
    const rebooting = reboots ? RESET_EVENTS.REBOOTING : 0n;
    const resets = (bits & RESET_EVENTS.RESET) !== 0n && watchdog !== null;
    if (resets) this.#reset(name, event, { watchdog, rebooting });
    else if (reboots) this.#reply(name, event, rebooting);
    else log.warn('reset.notServed', { lockspace: name, event: bits });
  }

  /**
   * The reply promises that the watchdog fires, so it waits for wdmd to have the expiry, and for
   * the lockspace to be held until then: without it others would see the host leave in order.
   */
  #reset(
    name: ByteString,
    event: ReceivedEvent,
    by: { readonly watchdog: ResetdWatchdog; readonly rebooting: bigint },
  ): void {
    const { settings, log, sanlock } = this.#parts;
    const expired = (isKept: boolean): void => {
      if (isKept) this.#reply(name, event, RESET_EVENTS.RESETTING | by.rebooting);
    };
    const expire = (isKept: boolean): void => {
      if (this.#expired) {
        expired(isKept);
        return;
      }
      by.watchdog.expireNow((isTaken) => {
        log.warn('watchdog.expired', { lockspace: name, isTaken, isKept });
        if (!isTaken) return;
        this.#expired = true;
        expired(isKept);
      });
    };
    if (settings.resourceMode) expire(true);
    else sanlock.setUsed(name, (code) => expire(code === 0));
  }

  #reply(name: ByteString, asked: ReceivedEvent, bits: bigint): void {
    const event = { hostId: asked.fromHostId, generation: 0n, event: bits, data: 0n };
    const flags = EVENT_FLAGS.ALL_HOSTS | EVENT_FLAGS.REPLACE_EVENT;
    this.#parts.sanlock.setEvent(name, { event, flags }, (code) => {
      this.#parts.log.info('reset.replied', { lockspace: name, event: bits, code });
    });
  }

  #rebootSoon(): void {
    if (this.#rebooting) return;
    this.#rebooting = true;
    const { clock, settings, log, reboot } = this.#parts;
    clock.after(settings.sysrqDelayS * 1000, () => {
      log.warn('reboot.now');
      reboot();
    });
  }
}
