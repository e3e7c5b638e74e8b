/** The house rules that a script can hold: who may import whom, what is never called, how long. */

export interface Room {
  /** Rooms, or single files of rooms, that may be imported. */
  readonly mayImport: readonly string[];
  /** Packages that touch nothing outside: parsers. */
  readonly libraries?: readonly string[];
  /** Whether it is the platform, or above it, and may use Node itself. */
  readonly node?: true;
  /** Whether it runs in a browser: it has a browser's clock and timers, and nothing of Node. */
  readonly browser?: true;
  /** Whether it may wait; in the other rooms everything runs synchronously in virtual time. */
  readonly waits?: true;
}

const BELOW_PROGRAMS = [
  'base',
  'codec',
  'ports',
  'format',
  'wire',
  'lease',
  'lease-process',
  'sanlock',
  'wdmd',
  'reset',
  'fence',
  'lvmlockd',
  'guard',
  'client',
];
const SIM_MAY_IMPORT = [...BELOW_PROGRAMS, 'programs'];
const SIM_ROOMS = [
  'sim/kernel',
  'sim/faults',
  'sim/invariants',
  'sim/cluster',
  'sim/workload',
  'sim/scenario',
];
const DOORS_MAY_IMPORT = [...BELOW_PROGRAMS, 'inspect', 'programs', 'platform'];

/**
 * Who may import whom. A file belongs to the room with the longest name that begins its path; what
 * a room may import includes the rooms within.
 */
export const ROOMS: Readonly<Record<string, Room>> = {
  base: { mayImport: [] },
  codec: { mayImport: ['base'] },
  ports: { mayImport: ['base'] },
  format: { mayImport: ['base', 'codec'] },
  'wire/sanlock': { mayImport: ['base', 'codec'] },
  'wire/wdmd': { mayImport: ['base', 'codec'] },
  'wire/lvmlockd': { mayImport: ['base', 'codec'] },
  lease: { mayImport: ['base', 'codec', 'format'] },
  'lease-process': { mayImport: ['base', 'codec', 'format', 'lease'] },
  sanlock: {
    mayImport: [
      'base',
      'codec',
      'format',
      'wire/sanlock',
      'wire/wdmd',
      'lease-process/messages',
      'lease/lease-error',
      'lease/lease-times',
    ],
  },
  wdmd: { mayImport: ['base', 'codec', 'wire/wdmd'] },
  reset: { mayImport: ['base', 'wire/wdmd', 'wire/sanlock'] },
  fence: { mayImport: ['base', 'wire/wdmd', 'wire/sanlock'] },
  lvmlockd: {
    mayImport: [
      'base',
      'wire/lvmlockd',
      'lvmlockd/managers/manager',
      'lvmlockd/managers/registry',
      'lvmlockd/managers/steps',
      'lvmlockd/managers/traits',
    ],
  },
  'lvmlockd/managers': { mayImport: ['base', 'wire/lvmlockd'] },
  'lvmlockd/managers/sanlock': {
    mayImport: [
      'base',
      'codec/struct',
      'format/leader',
      'wire/lvmlockd',
      'wire/sanlock',
      'lvmlockd/managers/manager',
      'lvmlockd/managers/steps',
      'lvmlockd/managers/traits',
    ],
  },
  guard: { mayImport: ['base', 'wire/sanlock'], libraries: ['saxes'] },
  inspect: { mayImport: ['base', 'wire', 'lease/lease-times'] },
  client: { mayImport: ['base', 'codec', 'wire', 'ports'], waits: true },
  programs: { mayImport: BELOW_PROGRAMS },
  sim: { mayImport: [...SIM_MAY_IMPORT, ...SIM_ROOMS] },
  'sim/kernel': { mayImport: ['base', 'ports', 'format/geometry', 'lease/lease-times'] },
  'sim/faults': { mayImport: ['base', 'codec', 'format', 'lease/lease-times', 'sim/kernel'] },
  'sim/invariants': {
    mayImport: [
      'base',
      'codec',
      'format',
      'lease/lease-times',
      'lease-process/messages',
      'wire/sanlock',
      'sim/kernel',
    ],
  },
  'sim/cluster': {
    mayImport: [...SIM_MAY_IMPORT, 'sim/kernel', 'sim/faults', 'sim/invariants'],
  },
  'sim/workload': { mayImport: [...SIM_MAY_IMPORT, ...SIM_ROOMS, 'sim/procedure-harness'] },
  'sim/scenario': {
    mayImport: [...SIM_MAY_IMPORT, 'sim/kernel', 'sim/cluster', 'sim/procedure-harness'],
  },
  platform: { mayImport: ['base', 'codec', 'ports'], node: true, waits: true },
  rig: {
    mayImport: ['base', 'codec', 'ports', 'wire', 'client', 'platform'],
    node: true,
    waits: true,
  },
  // It shows what it is given: no daemon, no disk and no socket of ours.
  web: { mayImport: ['base', 'inspect', 'lease/lease-times'], node: true, waits: true },
  'web/page': {
    mayImport: ['base', 'web/model'],
    libraries: ['preact', 'preact/hooks', 'uplot'],
    browser: true,
    waits: true,
  },
  cli: { mayImport: DOORS_MAY_IMPORT, node: true, waits: true },
  'cli/holdfast': {
    mayImport: [...DOORS_MAY_IMPORT, 'cli', 'web', 'rig', 'sim'],
    node: true,
    waits: true,
  },
  bin: { mayImport: [...DOORS_MAY_IMPORT, 'cli'], node: true, waits: true },
};

/** Files that no file imports, beside programs and tests: the script of the page. */
export const ENTRIES: ReadonlySet<string> = new Set(['src/web/page/main.tsx']);

export interface Banned {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** Calls that would let the outside world in where it must be handed in. */
export const BANNED_ABOVE_PLATFORM: readonly Banned[] = [
  { pattern: /\bDate\.now\b|\bnew Date\b/, instead: 'the Clock port' },
  { pattern: /\bset(Timeout|Interval|Immediate)\b/, instead: 'the Clock port' },
  { pattern: /\bMath\.random\b/, instead: 'the Random handed in' },
  { pattern: /(?<![.\w])process\./, instead: 'a port' },
  { pattern: /\bBuffer\b/, instead: 'Uint8Array' },
  { pattern: /\bconsole\./, instead: 'the Log port' },
];

export const BANNED_EVERYWHERE: readonly Banned[] = [
  {
    pattern: /\bshell:\s*true\b|\bexecSync\(|(?<![.\w])exec\(/,
    instead: 'spawn or execFile with a list',
  },
  { pattern: /:\s*any\b|\bas any\b/, instead: 'unknown, parsed by a codec' },
  { pattern: /\bexport default\b/, instead: 'a named export' },
  { pattern: /^\s*(export\s+)?enum\s/m, instead: 'an as const object' },
];

/** `during` and messages are for readers: a reworded text changes nothing. */
export const BANNED_IN_SOURCES: readonly Banned[] = [
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

/** The one file that multiplies an io timeout; its times have names. */
export const TIMES_FILE = 'src/lease/lease-times.ts';
/** What makes up how long a disk is slow: its factors are no times of a lease. */
export const MADE_UP_TIMES = 'src/sim/faults/';

/** The names under which a union's values carry what they are: a switch over one has every case. */
export const DISCRIMINANTS: readonly string[] = [
  'kind',
  'op',
  'outcome',
  'phase',
  'state',
  'call',
  'is',
  'of',
  'step',
  'waitsFor',
  'liveness',
];

/** Rooms that others build on: each of their exports says what it is. */
export const DOCUMENTED: readonly string[] = [
  'base',
  'codec',
  'format',
  'lease',
  'lease-process',
  'ports',
  'wire/wdmd',
  'wire/lvmlockd',
  'wire/sanlock',
  'client',
];

export const LIMITS = { fileLines: 500, functionLines: 60, lineColumns: 100 } as const;
