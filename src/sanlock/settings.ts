import type { ByteString } from '../base/bytes.ts';

/**
 * The settings of the sanlock daemon, fixed before it starts: options over sanlock.conf over the
 * defaults (spec 22 §5). No default is applied later.
 */
export interface SanlockSettings {
  /** Unique in every lockspace, at most 48 bytes; written into delta leases. */
  readonly ourHostName: ByteString;
  /** Holds sanlock.sock and sanlock.pid. */
  readonly runDir: ByteString;
  readonly useWatchdog: boolean;
  /** wdmd's socket. */
  readonly watchdogSocket: ByteString;
  readonly highPriority: boolean;
  readonly mlockLevel: 0 | 1 | 2;
  readonly quietFail: boolean;
  readonly debugRenew: number;
  /** Retries of a shared acquire that met a short hold. */
  readonly shRetries: number;
  readonly maxWorkerThreads: number;
  /**
   * What wdmd is asked for: at most the 60 s that other hosts give us. How long we give others is
   * a constant of every host (lease-times.ts), and never this.
   */
  readonly watchdogFireTimeoutS: number;
  /** From the failure of a lockspace to SIGKILL. */
  readonly killGraceS: number;
  /** How long our bits stay set for other hosts; 0 = 6 × io timeout. */
  readonly setBitmapS: number;
  /** Renewals remembered for each lockspace; 0 = none. */
  readonly renewalHistorySize: number;
  /** How much longer than the io timeout a renewal's read may take; null = one io timeout. */
  readonly renewalReadExtendS: number | null;
  readonly writeInitIoTimeoutS: number;
  /** Host blocks of a new resource lease whose request names no number; 0 = all. */
  readonly defaultNumHosts: number;
  /** For lockspaces added without one. */
  readonly ioTimeoutS: number;
  /** Owner of the socket, and whom the daemon becomes. */
  readonly uid: number;
  readonly gid: number;
}

/** The defaults, as root and without a group of its own. @see spec 22 §5 */
export const DEFAULTS: Omit<SanlockSettings, 'ourHostName'> = {
  runDir: '/run/sanlock',
  useWatchdog: true,
  watchdogSocket: '/run/wdmd/wdmd.sock',
  highPriority: false,
  mlockLevel: 1,
  quietFail: true,
  debugRenew: 0,
  shRetries: 8,
  maxWorkerThreads: 8,
  watchdogFireTimeoutS: 60,
  killGraceS: 40,
  setBitmapS: 0,
  renewalHistorySize: 180,
  renewalReadExtendS: null,
  writeInitIoTimeoutS: 60,
  defaultNumHosts: 0,
  ioTimeoutS: 10,
  uid: 0,
  gid: 0,
};
