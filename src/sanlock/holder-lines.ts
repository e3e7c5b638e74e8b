import type { ByteString } from '../base/bytes.ts';

/**
 * Who holds leases of which lockspace, written down as it changes, so that a daemon started again
 * after a crash knows whom the one before it left running. Their leases end with the host lease,
 * which nobody renews any more. Until they are gone the lockspace is not joined again, as a new
 * generation would free their leases at once; and when its time is up they are stopped. A lease
 * process counts too: stuck on its device, it may still write what it was told long ago.
 */
export type Line =
  | ({ readonly kind: 'space'; readonly id: number } & SpaceFacts)
  | ({ readonly kind: 'renewed'; readonly id: number } & RenewalFacts)
  | ({ readonly kind: 'holds'; readonly id: number } & HolderFacts)
  | { readonly kind: 'free'; readonly id: number; readonly holder: string }
  /** A journal before this one was damaged: there may be holders that nobody knows of. */
  | { readonly kind: 'unknown' };

interface RenewalFacts {
  readonly timestampS: number;
  /** How long the machine had been suspended, ever, when that renewal began. */
  readonly asleepMs: number;
}

export interface SpaceFacts extends RenewalFacts {
  readonly name: ByteString;
  readonly hostId: number;
  readonly path: ByteString;
  readonly offset: number;
  readonly ioTimeoutS: number;
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
}

type Shape = Readonly<Record<string, 'string' | 'number' | 'boolean'>>;

const RENEWAL: Shape = { id: 'number', timestampS: 'number', asleepMs: 'number' };

const SHAPES: Readonly<Record<Line['kind'], Shape>> = {
  space: {
    ...RENEWAL,
    name: 'string',
    hostId: 'number',
    path: 'string',
    offset: 'number',
    ioTimeoutS: 'number',
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
  },
  free: { id: 'number', holder: 'string' },
  unknown: {},
};

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
  const fields = value as Readonly<Record<string, unknown>>;
  // Checked by its shape just now.
  return shape.every(([name, type]) => typeof fields[name] === type) ? (value as Line) : null;
}
