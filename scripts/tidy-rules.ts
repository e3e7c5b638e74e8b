/** The house rules that a script can hold: who may import whom, what is never called, how long. */

export interface Room {
  /** Rooms, or single files of rooms, that may be imported. */
  readonly mayImport: readonly string[];
  /** Whether it lives below the platform floor and may use Node itself. */
  readonly node: boolean;
}

const UPPER = [
  'base',
  'codec',
  'ports',
  'format',
  'wire',
  'lease',
  'lease-process',
  'sanlock',
  'wdmd',
  'lvmlockd',
  'client',
];

export const ROOMS: Readonly<Record<string, Room>> = {
  base: { mayImport: [], node: false },
  codec: { mayImport: ['base'], node: false },
  ports: { mayImport: ['base'], node: false },
  format: { mayImport: ['base', 'codec'], node: false },
  wire: { mayImport: ['base', 'codec'], node: false },
  lease: { mayImport: ['base', 'codec', 'format'], node: false },
  'lease-process': { mayImport: ['base', 'codec', 'format', 'lease'], node: false },
  sanlock: {
    mayImport: ['base', 'codec', 'format', 'wire', 'lease', 'lease-process'],
    node: false,
  },
  wdmd: { mayImport: ['base', 'codec', 'wire'], node: false },
  lvmlockd: { mayImport: ['base', 'wire', 'format/geometry'], node: false },
  client: { mayImport: ['base', 'codec', 'wire', 'ports'], node: false },
  programs: { mayImport: UPPER, node: false },
  sim: { mayImport: [...UPPER, 'programs'], node: false },
  platform: { mayImport: ['base', 'codec', 'ports'], node: true },
  rig: { mayImport: ['base', 'wire', 'ports', 'client', 'platform'], node: true },
  cli: { mayImport: [...UPPER, 'programs', 'platform', 'rig', 'sim'], node: true },
  bin: { mayImport: [...UPPER, 'programs', 'platform', 'rig', 'cli'], node: true },
};

/** Calls that would let the outside world in where it must be handed in. */
export const BANNED_ABOVE_PLATFORM: readonly {
  readonly pattern: RegExp;
  readonly instead: string;
}[] = [
  { pattern: /\bDate\.now\b|\bnew Date\b/, instead: 'the Clock port' },
  { pattern: /\bset(Timeout|Interval|Immediate)\b/, instead: 'the Clock port' },
  { pattern: /\bMath\.random\b/, instead: 'the Random handed in' },
  { pattern: /(?<![.\w])process\./, instead: 'a port' },
  { pattern: /\bBuffer\b/, instead: 'Uint8Array' },
  { pattern: /\bconsole\./, instead: 'the Log port' },
];

export const BANNED_EVERYWHERE: readonly { readonly pattern: RegExp; readonly instead: string }[] =
  [
    {
      pattern: /\bshell:\s*true\b|\bexecSync\(|(?<![.\w])exec\(/,
      instead: 'spawn or execFile with a list',
    },
    { pattern: /:\s*any\b|\bas any\b/, instead: 'unknown, parsed by a codec' },
    { pattern: /\bexport default\b/, instead: 'a named export' },
    { pattern: /^\s*(export\s+)?enum\s/m, instead: 'an as const object' },
  ];

/** What was attempted and what a message says is for readers: a reworded text changes nothing. */
export const BANNED_IN_SOURCES: readonly { readonly pattern: RegExp; readonly instead: string }[] =
  [
    {
      pattern: /(\bduring|\.message)\s*[!=]==|[!=]==\s*[\w.?]*(\bduring\b|\.message\b)/,
      instead: 'a code, a kind or a step',
    },
    {
      pattern: /(\bduring|\.message)\??\.(startsWith|endsWith|includes|match|search|indexOf)\b/,
      instead: 'a code, a kind or a step',
    },
    { pattern: /\bswitch \([\w.?]*(\bduring|\.message)\)/, instead: 'a code, a kind or a step' },
  ];

/** Waiting is for client and below: above, everything runs synchronously in virtual time. */
export const NO_ASYNC: readonly string[] = [
  'base',
  'codec',
  'format',
  'wire',
  'lease',
  'lease-process',
  'sanlock',
  'wdmd',
  'lvmlockd',
  'programs',
  'sim',
];

export const LIMITS = { fileLines: 500, functionLines: 60, lineColumns: 100 } as const;

/** Files and functions over a limit, each with its reason. This list only shrinks. */
export const EXCEPTIONS: Readonly<Record<string, string>> = {};
