import { fail, ok, type Result } from '../../base/result.ts';
import { meantOption, type Row, rowsText } from '../frame/rows.ts';

export type Task =
  | { readonly kind: 'usage' | 'version' | 'quit' | 'info' | 'dump' | 'raw' }
  | { readonly kind: 'stopAll' }
  | {
      readonly kind: 'setRemote';
      readonly vgName: string;
      readonly lvUuid: string;
      readonly mode: string;
    }
  | {
      readonly kind: 'kill' | 'drop' | 'enableGl' | 'disableGl';
      readonly vgName: string;
    }
  | { readonly kind: 'check'; readonly vgName: string };

export interface LvmlockctlOptions {
  readonly task: Task;
  readonly wait: boolean;
  readonly force: boolean;
  /** Of --check: mend what is safe. */
  readonly repair: boolean;
  /** With kill: show what would be done, and do nothing. */
  readonly dryRun: boolean;
  /** Urgent messages go to stderr instead of the system log. */
  readonly stderr: boolean;
  /** A stop that takes longer is given up; null: it is waited for. */
  readonly limitS: number | null;
}

/** Its options, for its help and its man page. */
export const LVMLOCKCTL_ROWS: readonly Row[] = [
  ['--help | -h', 'Show this text.'],
  ['--quit | -q', 'Tell lvmlockd to end.'],
  ['--info | -i', 'Print the lockspaces and locks of lvmlockd.'],
  ['--dump | -d', 'Print the log of lvmlockd (with --info: the raw state).'],
  ['--wait | -w 0|1', 'Wait until a stop is complete [1].'],
  ['--force | -f 0|1', 'Stop VGs with locked LVs too [0].'],
  [
    '--kill | -k VGNAME',
    'What sanlock runs when VGNAME has lost its lock storage.\nThe LVs are cut off from their disks, then the locks are dropped;\nif lvm.conf has global/lvmlockctl_kill_command, that runs instead.',
  ],
  ['--dry-run', 'With --kill: print what would be done, and do nothing.'],
  ['--drop | -r VGNAME', 'Clear the locks of VGNAME, once it is not used any more.'],
  ['--gl-enable | -E VGNAME', 'Let VGNAME carry the global lock (sanlock).'],
  ['--gl-disable | -D VGNAME', 'Let VGNAME not carry the global lock (sanlock).'],
  ['--stop-lockspaces | -S', 'Stop all lockspaces without locks, and wait for those with locks.'],
  ['--limit SECONDS', 'With -S: give up after so long.'],
  [
    '--set-remote-lv-lock VGNAME --lv-uuid UUID --lock-mode ex|sh|un',
    'With lvmlockd --test: another host seems to hold that LV.',
  ],
  ['--check VGNAME', 'Compare the leases of VGNAME with its metadata; writes nothing.'],
  ['--repair', 'With --check: mend what is safe, under the VG lock.'],
  ['--stderr | -e', 'Print urgent messages here, not in the system log.'],
  ['--version | -V', 'Print the version.'],
];

const LAYOUT = { indent: 2, column: 28, behindLong: '\n' };

export const USAGE = [
  'lvmlockctl: shows and controls the state of lvmlockd.\n',
  'lvmlockctl [options]\n',
  rowsText(LVMLOCKCTL_ROWS, LAYOUT),
  'Exit status: 0 when done, 1 when lvmlockd could not be reached or did not do it, 2 when --limit was\n',
  'over.\n',
].join('');

type VgTask = 'kill' | 'drop' | 'enableGl' | 'disableGl' | 'check';

const VG_TASKS: Readonly<Record<string, VgTask>> = {
  '--check': 'check',
  '--kill': 'kill',
  '-k': 'kill',
  '--drop': 'drop',
  '-r': 'drop',
  '--gl-enable': 'enableGl',
  '-E': 'enableGl',
  '--gl-disable': 'disableGl',
  '-D': 'disableGl',
};
const PLAIN: Readonly<Record<string, Task['kind'] | 'repair' | 'stderr' | 'dryRun'>> = {
  '--repair': 'repair',
  '--dry-run': 'dryRun',
  '--help': 'usage',
  '-h': 'usage',
  '--version': 'version',
  '-V': 'version',
  '--quit': 'quit',
  '-q': 'quit',
  '--info': 'info',
  '-i': 'info',
  '--dump': 'dump',
  '-d': 'dump',
  '--stop-lockspaces': 'stopAll',
  '-S': 'stopAll',
  '--stderr': 'stderr',
  '-e': 'stderr',
};
const SWITCHES: Readonly<Record<string, 'wait' | 'force'>> = {
  '--wait': 'wait',
  '-w': 'wait',
  '--force': 'force',
  '-f': 'force',
};

/** Options of one task, with a value each. */
const VALUES: Readonly<Record<string, 'limit' | 'lvUuid' | 'mode' | 'remoteVg'>> = {
  '--limit': 'limit',
  '--lv-uuid': 'lvUuid',
  '--lock-mode': 'mode',
  '--set-remote-lv-lock': 'remoteVg',
};
const LONGEST_LIMIT_S = 86_400;

export function parseOptions(args: readonly string[]): Result<LvmlockctlOptions, string> {
  const kinds = new Set<string>();
  const switches = { wait: true, force: false };
  const values: Partial<Record<'limit' | 'lvUuid' | 'mode' | 'remoteVg', string>> = {};
  let vgTask: Task | null = null;
  const left = args.flatMap((arg) => splitArgument(arg));
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    const plain = PLAIN[arg];
    if (plain !== undefined) {
      kinds.add(plain);
      continue;
    }
    const vgKind = VG_TASKS[arg];
    const switchName = SWITCHES[arg];
    const valueName = VALUES[arg];
    if (vgKind === undefined && switchName === undefined && valueName === undefined) {
      return fail(`lvmlockctl: unknown option ${arg}${meantOption(arg, LVMLOCKCTL_ROWS)}`);
    }
    const value = left.shift();
    if (value === undefined) return fail(`lvmlockctl: option ${arg} wants a value`);
    if (valueName !== undefined) values[valueName] = value;
    else if (vgKind !== undefined) vgTask = { kind: vgKind, vgName: value };
    else if (value !== '0' && value !== '1') return fail(`lvmlockctl: ${arg} is 0 or 1`);
    else if (switchName !== undefined) switches[switchName] = value === '1';
  }
  const { limit, remoteVg: vgName, lvUuid, mode } = values;
  const limitS = limit === undefined ? null : Number(limit);
  if (limitS !== null && !(limitS >= 1 && limitS <= LONGEST_LIMIT_S)) {
    return fail(`lvmlockctl: --limit is 1 to ${LONGEST_LIMIT_S} seconds, not ${limit}`);
  }
  const dryRun = kinds.has('dryRun');
  if (dryRun && vgTask?.kind !== 'kill')
    return fail('lvmlockctl: --dry-run goes with --kill VGNAME');
  const given = { repair: kinds.has('repair'), stderr: kinds.has('stderr'), dryRun };
  const rest = { ...switches, ...given, limitS };
  if (vgName === undefined) return ok({ task: vgTask ?? plainTask(kinds), ...rest });
  if (lvUuid === undefined || mode === undefined) {
    return fail('lvmlockctl: --set-remote-lv-lock wants --lv-uuid and --lock-mode');
  }
  return ok({ task: { kind: 'setRemote', vgName, lvUuid, mode }, ...rest });
}

function plainTask(kinds: ReadonlySet<string>): Task {
  if (kinds.has('usage')) return { kind: 'usage' };
  if (kinds.has('info') && kinds.has('dump')) return { kind: 'raw' };
  for (const kind of ['version', 'quit', 'info', 'dump', 'stopAll'] as const) {
    if (kinds.has(kind)) return { kind };
  }
  return { kind: 'usage' };
}

/** `--kill=vg`, `-kvg` and `-id` become separate words. */
function splitArgument(arg: string): string[] {
  const long = /^(--[a-z-]+)=(.*)$/.exec(arg);
  if (long !== null) return [long[1] ?? '', long[2] ?? ''];
  if (!/^-[A-Za-z]./.test(arg)) return [arg];
  const words: string[] = [];
  for (let rest = arg.slice(1); rest !== ''; ) {
    const name = `-${rest[0]}`;
    rest = rest.slice(1);
    words.push(name);
    if (PLAIN[name] !== undefined) continue;
    if (rest !== '') words.push(rest);
    break;
  }
  return words;
}
