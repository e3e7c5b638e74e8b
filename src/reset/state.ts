import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { ReceivedEvent } from '../wire/sanlock/events.ts';
import type { HostEvent } from '../wire/sanlock/types.ts';

export const MAX_LOCKSPACES = 64;
/** Requests of other hosts that are being served; each comes again with the next renewal. */
export const MAX_REQUESTS = 1000;

export interface ResetdSettings {
  /** wdmd resets this host (`-w`). */
  readonly useWatchdog: boolean;
  /** Reboots by sysrq are served (`-b`), so long after the request (`-d`). */
  readonly sysrqReboot: boolean;
  readonly sysrqDelayS: number;
  /** Resource leases protect the storage, the lockspace need not be kept (`-R`). */
  readonly resourceMode: boolean;
}

/** What sanlk-resetd knows. Owned and changed by `stepResetd` alone. */
export interface ResetdState {
  readonly settings: ResetdSettings;
  phase: Phase;
  /** wdmd has our expiry: this host will be reset, there is no way back. */
  isExpired: boolean;
  reboot: Reboot;
  /** The event channels, by their number. */
  readonly watches: Map<number, Watch>;
  readonly requests: Map<number, Request>;
  nextId: number;
}

export type Phase =
  /** The lockspaces of the command line whose channels are not answered yet, or were refused. */
  | { readonly kind: 'starting'; readonly left: Set<ByteString>; readonly missing: ByteString[] }
  | { readonly kind: 'serving' }
  /** The last messages to sanlock and wdmd are on their way. */
  | { readonly kind: 'leaving'; readonly untilMs: number }
  | { readonly kind: 'ended' };

export type Reboot =
  | { readonly kind: 'none' | 'started' }
  | { readonly kind: 'due'; readonly atMs: number };

export interface Watch {
  readonly name: ByteString;
  /** `away`: sanlock ended the channel; it is restarted, or the lockspace was left. */
  phase: 'opening' | 'open' | 'away';
  /** One that was open is opened again, from then and until then; null: it was not closed. */
  again: { readonly fromMs: number; readonly untilMs: number } | null;
}

/** A reset or reboot that another host asked for. */
export interface Request {
  readonly name: ByteString;
  readonly asked: ReceivedEvent;
  phase: RequestPhase;
}

export type RequestPhase =
  /** Is it meant for this incarnation of the host? */
  | { readonly kind: 'checkingGeneration' }
  /** The lockspace is marked as used, so that it is held until the watchdog fires. */
  | { readonly kind: 'keepingLockspace'; readonly rebooting: bigint }
  | { readonly kind: 'expiring'; readonly rebooting: bigint; readonly isKept: boolean }
  | { readonly kind: 'replying'; readonly bits: bigint };

export type ResetdEvent =
  | { readonly kind: 'start'; readonly names: readonly ByteString[] }
  /** A datagram of `sanlk-reset reg|end|clear`. */
  | { readonly kind: 'control'; readonly bytes: Uint8Array }
  | { readonly kind: 'watchOpened'; readonly watch: number }
  | { readonly kind: 'watchRefused'; readonly watch: number; readonly code: number }
  | { readonly kind: 'watchClosed'; readonly watch: number }
  | { readonly kind: 'received'; readonly watch: number; readonly event: ReceivedEvent }
  /** null: sanlock did not answer. */
  | {
      readonly kind: 'generationRead';
      readonly request: number;
      readonly generation: bigint | null;
    }
  | { readonly kind: 'usedSet'; readonly request: number; readonly code: number }
  | { readonly kind: 'expirySet'; readonly request: number; readonly isTaken: boolean }
  | { readonly kind: 'eventSet'; readonly request: number; readonly code: number }
  | { readonly kind: 'stop' | 'tick' };

/** What the program does next; `request` and `watch` come back in the answering event. */
export type ResetdEffect =
  | { readonly kind: 'openWatch'; readonly watch: number; readonly name: ByteString }
  | { readonly kind: 'closeWatch'; readonly watch: number }
  | {
      readonly kind: 'readGeneration';
      readonly request: number;
      readonly name: ByteString;
      readonly hostId: bigint;
    }
  | { readonly kind: 'setUsed'; readonly request: number; readonly name: ByteString }
  /** Our entry in wdmd expires now. */
  | { readonly kind: 'expire'; readonly request: number }
  | {
      readonly kind: 'setEvent';
      readonly request: number;
      readonly name: ByteString;
      readonly event: HostEvent;
      readonly flags: number;
    }
  /** Answers `start`, once; the daemon does not serve when a lockspace is missing. */
  | { readonly kind: 'started'; readonly missing: readonly ByteString[] }
  | { readonly kind: 'reboot' }
  /** Takes our claim on wdmd back. */
  | { readonly kind: 'leaveWatchdog' }
  | { readonly kind: 'ended' }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: LogFields;
    };

export function newState(settings: ResetdSettings): ResetdState {
  return {
    settings,
    phase: { kind: 'serving' },
    isExpired: false,
    reboot: { kind: 'none' },
    watches: new Map(),
    requests: new Map(),
    nextId: 1,
  };
}
