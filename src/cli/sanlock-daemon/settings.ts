import { textToName } from '../../base/bytes.ts';
import { given } from '../../base/given.ts';
import { HOST_NAME_BYTES } from '../../format/leader.ts';
import { DEFAULTS, type SanlockSettings } from '../../sanlock/settings.ts';
import { readConfigFile } from './config-file.ts';
import { readDaemonOptions } from './daemon-options.ts';
import { decide } from './decide.ts';
import { type Finding, NOT_STARTED } from './finding.ts';
import type { HostFacts, TextFile } from './host-facts.ts';
import { ownerOf } from './owner.ts';
import { MAX_FIRE_TIMEOUT_S, type SettingValues } from './setting-table.ts';

/** Settings that only the composition needs: where lines go, and whether to stay in the foreground. */
export interface DaemonLogging {
  readonly foreground: boolean;
  readonly logfilePriority: number;
  readonly syslogPriority: number;
  readonly utc: boolean;
}

export interface DaemonSettings {
  readonly sanlock: SanlockSettings;
  readonly logging: DaemonLogging;
  /** false (SANLOCK_PRIVILEGED=0): no limits lifted, no user changed. */
  readonly privileged: boolean;
}

export interface ReadSettings {
  /** null: one of the findings is why the daemon does not start. */
  readonly settings: DaemonSettings | null;
  readonly logging: DaemonLogging;
  readonly findings: readonly Finding[];
}

export const CONF_FILE = '/etc/sanlock/sanlock.conf';

/** Options over sanlock.conf over the defaults. @throws UsageError for options C refuses. */
export function readSettings(args: readonly string[], host: HostFacts): ReadSettings {
  const options = readDaemonOptions(args);
  const privileged = (given(host.environment['SANLOCK_PRIVILEGED']) ?? '1') === '1';
  const file = host.readFile(CONF_FILE);
  const config = readConfigFile(CONF_FILE, file.text);
  const decided = decide([...config.given, ...options.given]);
  const { values } = decided;
  const owner = ownerOf(decided, host);
  const findings = [
    ...unreadable(file, privileged),
    ...config.findings,
    ...options.findings,
    ...decided.findings,
    ...owner.findings,
  ];
  const logging = {
    foreground: options.foreground,
    logfilePriority: values.logfilePriority ?? 4,
    syslogPriority: values.syslogPriority ?? 3,
    utc: (values.logfileUtc ?? 0) !== 0,
  };
  const isRefused = findings.some(({ verdict }) => verdict === 'refused');
  const sanlock = sanlockSettings(values, owner, host);
  return { settings: isRefused ? null : { sanlock, logging, privileged }, logging, findings };
}

/** A file that is there may hold anything; without privileges it was never meant for us. */
function unreadable({ failure }: TextFile, privileged: boolean): Finding[] {
  if (failure === null) return [];
  const verdict = privileged ? 'refused' : 'questionable';
  const used = privileged ? NOT_STARTED : 'the defaults are used';
  return [{ verdict, place: CONF_FILE, key: '', found: failure, wanted: 'a readable file', used }];
}

function sanlockSettings(
  values: SettingValues,
  owner: { readonly uid: number; readonly gid: number },
  { environment, newUuid, nodeName }: HostFacts,
): SanlockSettings {
  const fireTimeoutS = values.fireTimeoutS ?? MAX_FIRE_TIMEOUT_S;
  // Made up, it may be cut: the uuid in front makes it the only one.
  const madeUp = () => textToName(`${newUuid()}.${nodeName}`).slice(0, HOST_NAME_BYTES);
  return {
    ourHostName: values.hostName === undefined ? madeUp() : textToName(values.hostName),
    runDir: textToName(given(environment['SANLOCK_RUN_DIR']) ?? DEFAULTS.runDir),
    useWatchdog: (values.useWatchdog ?? Number(DEFAULTS.useWatchdog)) !== 0,
    watchdogSocket: textToName(`${given(environment['WDMD_RUN_DIR']) ?? '/run/wdmd'}/wdmd.sock`),
    highPriority: (values.highPriority ?? Number(DEFAULTS.highPriority)) !== 0,
    mlockLevel: mlockLevelOf(values.mlockLevel ?? DEFAULTS.mlockLevel),
    quietFail: (values.quietFail ?? Number(DEFAULTS.quietFail)) !== 0,
    debugRenew: values.debugRenew ?? DEFAULTS.debugRenew,
    shRetries: values.shRetries ?? DEFAULTS.shRetries,
    maxWorkerThreads: values.maxWorkerThreads ?? DEFAULTS.maxWorkerThreads,
    watchdogFireTimeoutS: fireTimeoutS,
    killGraceS: values.killGraceS ?? graceFor(fireTimeoutS),
    setBitmapS: values.setBitmapS ?? DEFAULTS.setBitmapS,
    renewalHistorySize: values.renewalHistorySize ?? DEFAULTS.renewalHistorySize,
    renewalReadExtendS: values.renewalReadExtendS ?? null,
    writeInitIoTimeoutS: values.writeInitIoTimeoutS ?? DEFAULTS.writeInitIoTimeoutS,
    defaultNumHosts: values.defaultNumHosts ?? DEFAULTS.defaultNumHosts,
    ioTimeoutS: values.ioTimeoutS ?? DEFAULTS.ioTimeoutS,
    uid: owner.uid,
    gid: owner.gid,
  };
}

/** The users' time to end in order has to be over before the watchdog fires (spec 22 §5). */
function graceFor(fireTimeoutS: number): number {
  if (fireTimeoutS >= MAX_FIRE_TIMEOUT_S) return 40;
  return fireTimeoutS >= 30 ? 15 : 0;
}

function mlockLevelOf(level: number): 0 | 1 | 2 {
  return level === 0 || level === 2 ? level : 1;
}
