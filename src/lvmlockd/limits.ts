/**
 * What clients may make the daemon keep. Each has one request under way, so that queues are bounded
 * by their number; what is more is answered with -12, or not let in.
 */
export interface Limits {
  readonly clients: number;
  /** Lock manager procedures at once: one for each resource that is being locked, or request. */
  readonly tasks: number;
  readonly lockspaces: number;
  /** LVs of one VG that have been asked for; those that nobody uses are forgotten first. */
  readonly resources: number;
}

export const LIMITS: Limits = {
  clients: 2000,
  tasks: 1000,
  lockspaces: 900, // sanlock itself lists 949 (spec 20 §16)
  resources: 10_000,
};
