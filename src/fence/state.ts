import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { Result } from '../base/result.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';
import { type Duty, newDuty } from './duty.ts';
import type { FenceStart } from './start-message.ts';

/** What fence_sanlockd knows. Owned and changed by `stepFence` alone. */
export interface FenceState {
  readonly start: FenceStart;
  /** The program that sanlock runs when another host wants our lease. */
  readonly killpath: ByteString;
  readonly duty: Duty;
  /** To the sanlock that has our lease. */
  link: Link;
  phase: Phase;
}

export type Phase =
  | { readonly kind: 'new' }
  /** `step` is on its way. */
  | { readonly kind: 'starting'; readonly step: StartStep; readonly isStopWanted: boolean }
  /** The lease is ours; wdmd has not answered to the first expiry yet. */
  | { readonly kind: 'expiring'; readonly isStopWanted: boolean; readonly tickMs: number }
  | { readonly kind: 'holding'; readonly tickMs: number }
  /** The expiry is being withdrawn; then what the start did, backwards. */
  | { readonly kind: 'undoing'; readonly left: readonly UndoStep[]; readonly failure: Failure }
  | { readonly kind: 'ended' };

/** How the sanlock that has our lease is reached; `away`: it was restarted (reattach.ts). */
export type Link =
  | { readonly kind: 'up' }
  | {
      readonly kind: 'away';
      readonly untilMs: number;
      readonly next: ReattachStep;
      /** Its answer is to come; else it is asked at the next tick. */
      readonly isAsked: boolean;
    };

export type ReattachStep = 'connect' | 'setKillpath' | 'restrict' | 'acquire';

/** null: in order. Else why it could not start, or not end as it should, in one sentence. */
export type Failure = string | null;

export const START_STEPS = [
  'checkWatchdog',
  'checkStorage',
  'connect',
  'setKillpath',
  'restrict',
  'join',
  'keepForOrphans',
  'acquire',
] as const;
export type StartStep = (typeof START_STEPS)[number];
export type UndoStep = 'release' | 'leave';

/** Calls of sanlock that answer with a number. */
export type CallStep =
  | Exclude<StartStep, 'checkWatchdog' | 'connect'>
  | UndoStep
  | 'register'
  | 'abortJoin';

export type FenceEvent =
  | { readonly kind: 'start' }
  | {
      readonly kind: 'statusRead';
      readonly result: Result<readonly StateRecord[], SanlockFailure>;
    }
  | { readonly kind: 'connected'; readonly failure: Failure }
  | {
      readonly kind: 'called';
      readonly step: CallStep;
      readonly result: Result<number, SanlockFailure>;
    }
  /** sanlock ended the registered connection. */
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'expirySet'; readonly isTaken: boolean }
  | { readonly kind: 'expiryCleared'; readonly isTaken: boolean }
  | { readonly kind: 'agents'; readonly victims: readonly number[] }
  | { readonly kind: FenceSignal | 'tick' };

/** SIGUSR1, SIGUSR2, SIGTERM (sanlock's: the lockspace failed); SIGHUP and SIGINT stop. */
export type FenceSignal = 'fenced' | 'fencing' | 'lost' | 'stop';

export type FenceEffect =
  | {
      readonly kind: 'readStatus';
      readonly call: SanlockCall<readonly StateRecord[]>;
      readonly timeoutMs: number;
    }
  /** Opens the connection that this process is registered by. */
  | { readonly kind: 'connect' }
  | {
      readonly kind: 'call';
      readonly step: CallStep;
      readonly call: SanlockCall<number>;
      /** `registered`: over the connection above; `own`: over one of its own. */
      readonly over: 'registered' | 'own';
      /** undefined: the usual one of the call. */
      readonly timeoutMs: number | undefined;
    }
  /** Gives wdmd a new expiry, so many seconds from now. */
  | { readonly kind: 'setExpiry'; readonly seconds: number }
  | { readonly kind: 'clearExpiry' | 'leaveWatchdog' }
  /** Reads which hosts the fence_sanlock processes here are fencing. */
  | { readonly kind: 'findAgents' }
  /** This host can be fenced from now on. */
  | { readonly kind: 'started' }
  | { readonly kind: 'ended'; readonly failure: Failure }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: LogFields;
    };

export function newState(of: {
  readonly start: FenceStart;
  readonly killpath: ByteString;
}): FenceState {
  return { ...of, duty: newDuty(of.start.hostId), link: { kind: 'up' }, phase: { kind: 'new' } };
}
