import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { unreachable } from '../../../base/assert.ts';
import { given } from '../../../base/given.ts';
import { SECOND_MS } from '../../../base/units.ts';
import type {
  ConfFlaw,
  ConfigFacts,
  DaemonProcess,
  LvmSettings,
  SkippedLine,
  WdmdScript,
} from '../../../inspect/doctor/facts.ts';
import { reasonOf } from '../../../platform/system-error.ts';
import { textOf } from '../../../platform/text-file.ts';
import { askLvm, type ProgramAnswer, programAnswer } from '../../observe/ask-program.ts';
import { findingText } from '../../sanlock-daemon/finding.ts';
import type { TextFile } from '../../sanlock-daemon/host-facts.ts';
import { readSettings } from '../../sanlock-daemon/settings.ts';

const LVM_MS = 20 * SECOND_MS;
const SETTINGS = [
  ...['global/use_lvmlockd', 'local/host_id', 'global/sanlock_lv_extend', 'global/activation'],
];

/** The files by which lvm and the daemons are set. */
export async function configFacts(processes: readonly DaemonProcess[]): Promise<ConfigFacts> {
  const [answer, validated, version] = await Promise.all([
    programAnswer('lvmconfig', ['--typeconfig', 'full', ...SETTINGS], LVM_MS),
    askLvm('lvmconfig', ['--validate'], LVM_MS),
    askLvm('lvm', ['version'], LVM_MS),
  ]);
  const build = version.ok ? version.value : '';
  return {
    lvmFolder: given(process.env['LVM_SYSTEM_DIR']) ?? '/etc/lvm',
    lvm: lvmOf(answer),
    lvmUnread: answer.kind === 'late' ? answer.why : null,
    unknownLvmKeys: answer.kind === 'done' && !validated.ok ? unknownKeys(validated.error) : [],
    hasLvmlockd: /^\s*Configuration:/m.test(build) ? build.includes('--enable-lvmlockd') : null,
    sanlockConf: sanlockFlaws(processes),
    defaults: DEFAULTS.flatMap(skippedLines),
    wdmdScripts: scriptsOf(processes),
  };
}

/** One that has not ended has found nothing wrong. */
function lvmOf(answer: ProgramAnswer): ConfigFacts['lvm'] {
  switch (answer.kind) {
    case 'done':
      return lvmSettings(answer.printed);
    case 'failed':
      return answer.why;
    case 'absent':
    case 'late':
      return null;
    default:
      return unreachable(answer);
  }
}

/** `host_id=5`, a line each. */
function lvmSettings(text: string): LvmSettings {
  const number = (key: string) => {
    const digits = new RegExp(`^${key}=(-?\\d+)$`, 'm').exec(text)?.[1];
    return digits === undefined ? null : Number(digits);
  };
  const hostId = number('host_id');
  return {
    usesLvmlockd: number('use_lvmlockd') === 1,
    hostId: hostId === 0 ? null : hostId,
    lockLvExtendMib: number('sanlock_lv_extend') ?? DEFAULT_EXTEND_MIB,
    activates: number('activation') !== 0,
  };
}

const DEFAULT_EXTEND_MIB = 256;
const MAX_KEYS = 50;

/** Of the sentences of `lvmconfig --validate`. */
function unknownKeys(said: string): readonly string[] {
  const keys = [...said.matchAll(/setting "([^"]+)" unknown/g)].map(([, key = '']) => key);
  return [...new Set(keys)].slice(0, MAX_KEYS);
}

/** With the options of the daemon that runs, as they count too. */
function sanlockFlaws(processes: readonly DaemonProcess[]): readonly ConfFlaw[] {
  const running = processes.find(({ name, role }) => name === 'sanlock' && role === 'daemon');
  const words = (running?.commandLine ?? '').split(' ');
  const at = words.indexOf('daemon');
  const options = at < 0 ? [] : words.slice(at + 1);
  const { env } = process;
  const newUuid = () => '00000000-0000-0000-0000-000000000000';
  const host = { environment: env, nodeName: hostname(), newUuid, readFile };
  try {
    const { findings } = readSettings(options, host);
    return findings.flatMap((finding) =>
      finding.verdict === 'note' ? [] : [{ verdict: finding.verdict, text: findingText(finding) }],
    );
  } catch {
    return []; // options that only another sanlock takes
  }
}

function readFile(path: string): TextFile {
  try {
    if (statSync(path).size > MAX_CONF_BYTES) return { text: '', failure: 'a very large file' };
  } catch (error) {
    const isAbsent = Reflect.get(Object(error), 'code') === 'ENOENT';
    return { text: '', failure: isAbsent ? null : reasonOf(error) };
  }
  const text = textOf(path);
  return { text: text ?? '', failure: text === null ? 'it cannot be read' : null };
}

const MAX_CONF_BYTES = 1024 * 1024;

const DEFAULTS = ['/etc/default', '/etc/sysconfig'].flatMap((folder) =>
  ['wdmd', 'sanlock', 'lvmlockd'].map((name) => join(folder, name)),
);
const ASSIGNMENT = /^\s*[A-Za-z_][A-Za-z0-9_]*=/;

/** As systemd reads an EnvironmentFile: a line that ends in a backslash goes on in the next. */
function skippedLines(path: string): readonly SkippedLine[] {
  const { text } = readFile(path);
  let isGoingOn = false;
  return text.split('\n').flatMap((line, index) => {
    const isWhole = !isGoingOn;
    isGoingOn = line.endsWith('\\');
    const isNothing = /^\s*([#;]|$)/.test(line);
    if (!isWhole || isNothing || ASSIGNMENT.test(line)) return [];
    return [{ path, line: index + 1, text: line.trim() }];
  });
}

const SCRIPTS = '/etc/wdmd.d';
const MOST_SCRIPTS = 8;

/** As wdmd takes them: those that their owner may execute, by name, without those with a dot first. */
function scriptsOf(processes: readonly DaemonProcess[]): readonly WdmdScript[] {
  const wdmd = processes.find(({ name }) => name === 'wdmd');
  if (wdmd === undefined) return [];
  const words = wdmd.commandLine.split(' ');
  const after = (option: string) => {
    const at = words.lastIndexOf(option);
    return at < 0 ? null : (words[at + 1] ?? null);
  };
  const folder = after('-s') ?? SCRIPTS;
  const files = filesIn(folder).filter((name) => !name.startsWith('.'));
  const runnable = files.filter((name) => isExecutable(join(folder, name)));
  if (after('-S') !== '1' && !words.includes('-S1')) {
    return runnable.map((name) => ({ path: join(folder, name), why: 'scriptsAreOff' }));
  }
  const idle = files.filter((name) => !runnable.includes(name));
  return [
    ...idle.map((name) => ({ path: join(folder, name), why: 'notExecutable' }) as const),
    ...runnable
      .slice(MOST_SCRIPTS)
      .map((name) => ({ path: join(folder, name), why: 'tooMany' }) as const),
  ];
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .sort();
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.F_OK);
    return (statSync(path).mode & 0o100) !== 0;
  } catch {
    return false;
  }
}
