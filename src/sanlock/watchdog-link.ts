/**
 * The link of a lockspace to wdmd (spec 20 §9). wdmd feeds the machine's watchdog only while every
 * expiry that it knows lies ahead: a daemon that hangs or dies while users hold leases ends with a
 * reset, before other hosts may take them. Only `releaseWatchdog` ever ends an expiry.
 */
export interface WatchdogLink {
  /**
   * connecting, opening: nothing is on disk yet. ready: the host id may be acquired. arming: it
   * was. armed: users may hold leases. lost: wdmd is gone, the device runs out by itself.
   */
  state: 'connecting' | 'opening' | 'ready' | 'arming' | 'armed' | 'lost';
  deadlineMs: number;
}
