import type { ByteString } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';

/**
 * Who holds leases of which lockspace, written down as it changes, so that a daemon started again
 * after a crash knows whom the one before it left running. Their leases end with the host lease,
 * which nobody renews any more. Until they are gone the lockspace is not joined again, as a new
 * generation would free their leases at once; and when its time is up they are stopped. A lease
 * process counts too: stuck on its device, it may still write what it was told long ago. And so
 * does a persistent lease, whoever lives, until it is given back.
 */
export type Line =
  | ({ readonly kind: 'space'; readonly id: number } & SpaceFacts)
  | ({ readonly kind: 'renewed'; readonly id: number } & RenewalFacts)
  | ({ readonly kind: 'holds'; readonly id: number } & HolderFacts)
  | { readonly kind: 'free'; readonly id: number; readonly holder: string }
  | ({ readonly kind: 'lease'; readonly id: number } & LeaseFacts)
  /** It was let go here, whatever came of its way to the disk. */
  | { readonly kind: 'given'; readonly id: number; readonly lease: number }
  /** The lockspace was left: by nobody's claim but the disk's is any lease of it held. */
  | { readonly kind: 'left'; readonly id: number }
  /** A journal before this one was damaged: there may be holders that nobody knows of. */
  | { readonly kind: 'unknown' };

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
  /** By which the host lease is ours on the disk. */
  readonly hostName: ByteString;
}

/** A persistent lease: its user is no process, so that none can be waited for. */
interface LeaseFacts {
  readonly lease: number;
  readonly resource: ByteString;
}

export interface HolderFacts {
  /** A client's connection, or 'lease'. */
  readonly holder: string;
  readonly pid: number;
  /** Of the process, in the kernel's ticks: another process of that pid has another. */
  readonly started: string;
  readonly killpath: ByteString;
  readonly killargs: ByteString;
  readonly killpathPid: boolean;
  readonly restricted: number;
  /** All that it holds outlives it, and has lines of its own. */
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

/** What lines of an earlier version do not say; there was no persistent lease in them. */
const UNSAID = { generation: '0', hostName: '', persistent: false };

/** Lines of an earlier version say how long the machine had slept when that renewal began. */
function claimOf(value: object): { readonly claimedBootMs?: number } {
  if (!('asleepMs' in value && 'timestampS' in value)) return {};
  const { asleepMs, timestampS } = value;
  if (typeof asleepMs !== 'number' || typeof timestampS !== 'number') return {};
  return { claimedBootMs: timestampS * SECOND_MS + asleepMs };
}

/** null: no line of ours, or one of a later version. */
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
  const fields: Readonly<Record<string, unknown>> = { ...UNSAID, ...claimOf(value), ...value };
  const isWhole = shape.every(([name, type]) => typeof fields[name] === type);
  return isWhole ? (fields as unknown as Line) : null; // checked by its shape just now
}
