import type { ByteString } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';

/**
 * The journal of holders records which processes hold leases of which lockspace, as it changes. A
 * daemon that is started again after a crash reads which holders survived the earlier one. Their
 * leases end with the host lease, which no process renews any more. While a holder is alive the
 * lockspace is not joined again, as a new generation would free its leases at once; when the host
 * lease has expired the holders are stopped. A lease process is a holder too: stuck on its device,
 * it may still write what it was ordered long ago. A persistent lease counts, whichever processes
 * are alive, until it is released.
 */
export type Line =
  | ({ readonly kind: 'space'; readonly id: number } & SpaceFacts)
  | ({ readonly kind: 'renewed'; readonly id: number } & RenewalFacts)
  | ({ readonly kind: 'holds'; readonly id: number } & HolderFacts)
  | { readonly kind: 'free'; readonly id: number; readonly holder: string }
  | ({ readonly kind: 'lease'; readonly id: number } & LeaseFacts)
  /** The lease was released here, whether or not the disk knows of it. */
  | { readonly kind: 'given'; readonly id: number; readonly lease: number }
  /** The lockspace was left: this host claims none of its leases any more. */
  | { readonly kind: 'left'; readonly id: number }
  /** An earlier journal was damaged: there may be holders that are not recorded. */
  | { readonly kind: 'unknown' };

/** The holder that is a lease process. */
export const LEASE_HOLDER = 'lease';

interface RenewalFacts {
  readonly timestampS: number;
  /** Boot time from which the claim of that renewal counts. */
  readonly claimedBootMs: number;
  /** '0' until joined. In digits: it has 64 bits. */
  readonly generation: string;
}

export interface SpaceFacts extends RenewalFacts {
  readonly name: ByteString;
  readonly hostId: number;
  readonly path: ByteString;
  readonly offset: number;
  readonly ioTimeoutS: number;
  /** The host name in our host lease on the disk. */
  readonly hostName: ByteString;
}

/** A persistent lease: its user is no process, so no end of a process releases it. */
interface LeaseFacts {
  readonly lease: number;
  readonly resource: ByteString;
}

export interface HolderFacts {
  /** A client's connection, or `LEASE_HOLDER`. */
  readonly holder: string;
  readonly pid: number;
  /** Of the process, in the kernel's ticks: another process of that pid has another. */
  readonly started: string;
  readonly killpath: ByteString;
  readonly killargs: ByteString;
  readonly killpathPid: boolean;
  readonly restricted: number;
  /** All its leases are persistent: they outlive it, and have lines of their own. */
  readonly persistent: boolean;
}

type Shape = Readonly<Record<string, 'string' | 'number' | 'boolean'>>;

const RENEWAL: Shape = {
  id: 'number',
  timestampS: 'number',
  claimedBootMs: 'number',
  generation: 'string',
};

const SHAPES: Readonly<Record<Line['kind'], Shape>> = {
  space: {
    ...RENEWAL,
    name: 'string',
    hostId: 'number',
    path: 'string',
    offset: 'number',
    ioTimeoutS: 'number',
    hostName: 'string',
  },
  renewed: RENEWAL,
  holds: {
    id: 'number',
    holder: 'string',
    pid: 'number',
    started: 'string',
    killpath: 'string',
    killargs: 'string',
    killpathPid: 'boolean',
    restricted: 'number',
    persistent: 'boolean',
  },
  free: { id: 'number', holder: 'string' },
  lease: { id: 'number', lease: 'number', resource: 'string' },
  given: { id: 'number', lease: 'number' },
  left: { id: 'number' },
  unknown: {},
};

/** Fields that lines of an earlier version lack: that version recorded no persistent leases. */
const DEFAULT_FIELDS = { generation: '0', hostName: '', persistent: false };

/** Lines of an earlier version say how long the machine had slept when that renewal began. */
function claimOf(value: object): { readonly claimedBootMs?: number } {
  if (!('asleepMs' in value && 'timestampS' in value)) return {};
  const { asleepMs, timestampS } = value;
  if (typeof asleepMs !== 'number' || typeof timestampS !== 'number') return {};
  return { claimedBootMs: timestampS * SECOND_MS + asleepMs };
}

/** null: not a line of this journal, or one of a later version. */
export function parseHolderLine(text: string): Line | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('kind' in value)) return null;
  const { kind } = value;
  if (typeof kind !== 'string' || !Object.hasOwn(SHAPES, kind)) return null;
  const shape = Object.entries(SHAPES[kind as Line['kind']]);
  const fields: Readonly<Record<string, unknown>> = {
    ...DEFAULT_FIELDS,
    ...claimOf(value),
    ...value,
  };
  const isWhole = shape.every(([name, type]) => typeof fields[name] === type);
  return isWhole ? (fields as unknown as Line) : null; // checked by its shape just now
}
