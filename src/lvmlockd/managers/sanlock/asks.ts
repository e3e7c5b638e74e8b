import type { ByteString } from '../../../base/bytes.ts';
import type { LockspaceText, ResourceText } from '../../../wire/sanlock/strings.ts';

/** A lockspace as the sanlock socket takes it. */
export interface SanlockArea extends LockspaceText {
  readonly flags: number;
}

/** One call to sanlock; named after the C library. */
export type SanlockCommand =
  | { readonly call: 'version' }
  | { readonly call: 'register' }
  | { readonly call: 'restrictSigkill' }
  | { readonly call: 'killpath'; readonly path: ByteString; readonly args: ByteString }
  | { readonly call: 'addLockspace'; readonly area: SanlockArea; readonly ioTimeoutS: number }
  | { readonly call: 'remLockspace'; readonly area: SanlockArea; readonly onlyUnused: boolean }
  | { readonly call: 'readLockspace'; readonly area: SanlockArea }
  | { readonly call: 'writeLockspace'; readonly area: SanlockArea; readonly ioTimeoutS: number }
  | { readonly call: 'readResource'; readonly resource: ResourceText }
  | { readonly call: 'writeResource'; readonly resource: ResourceText }
  | {
      readonly call: 'acquire';
      readonly resource: ResourceText;
      readonly lvb: boolean;
      readonly orphan: boolean;
    }
  | { readonly call: 'convert'; readonly resource: ResourceText }
  | { readonly call: 'release'; readonly resources: readonly ResourceText[]; rename: boolean }
  | { readonly call: 'releaseAll' }
  | { readonly call: 'getLvb'; readonly resource: ResourceText; readonly length: number }
  | { readonly call: 'setLvb'; readonly resource: ResourceText; readonly lvb: Uint8Array }
  | { readonly call: 'getHosts'; readonly name: ByteString }
  | { readonly call: 'getLockspaces' }
  | { readonly call: 'usedByOrphans'; readonly name: ByteString }
  | { readonly call: 'status' }
  /** Ends the registered connection; answered at once. */
  | { readonly call: 'hangUp' };

export interface SanlockAsk {
  readonly kind: 'sanlock';
  /** The registered connection of a lockspace; null: any connection. */
  readonly session: number | null;
  readonly command: SanlockCommand;
  readonly deadlineMs: number;
}

/** A lease in sanlock's STATUS. */
export interface SanlockLease {
  readonly resource: ResourceText;
  /** held, add, rem or orphan. */
  readonly list: ByteString;
}

/** Fields that a call does not fill are zero or empty. */
export interface SanlockAnswer {
  readonly kind: 'sanlock';
  /** 0 or more, or negative: an errno or a number of SANLOCK_CODES. */
  readonly code: number;
  /** The daemon answered; false: not reached, or no answer in time. */
  readonly answered: boolean;
  readonly name: ByteString;
  readonly flags: number;
  readonly bytes: Uint8Array;
  readonly hosts: readonly { readonly hostId: bigint; readonly state: number }[];
  readonly areas: readonly SanlockArea[];
  readonly leases: readonly SanlockLease[];
  /** Lockspaces being removed or lost. */
  readonly dying: readonly ByteString[];
}
