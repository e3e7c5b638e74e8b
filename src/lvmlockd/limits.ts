/**
 * How much state clients can make the daemon keep. Each client has one request under way, so their
 * number bounds the queues. A request beyond a limit is answered with -12, a client is refused.
 */
export interface Limits {
  readonly clients: number;
  /** Lock manager procedures at once: one for each resource being locked, or for a request. */
  readonly tasks: number;
  readonly lockspaces: number;
  /** LVs of one VG that requests have named; unused ones are forgotten first. */
  readonly resources: number;
}

export const LIMITS: Limits = {
  clients: 2000,
  tasks: 1000,
  lockspaces: 900, // sanlock itself lists 949 (spec 20 §16)
  resources: 10_000,
};
