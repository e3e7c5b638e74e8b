/**
 * How long lvmlockd waits for answers of sanlock; calls that touch the disk wait longer with a
 * longer io timeout. No lease is decided by these.
 */
export interface SanlockTimes {
  /** As given by `-o`; 0: sanlock's default. */
  readonly ioTimeoutS: number;
  readonly quickMs: number;
  readonly diskMs: number;
  readonly joinMs: number;
  readonly leaveMs: number;
  /** As long as the next sanlock may resume what a killed one had joined. */
  readonly sessionMs: number;
  /** Until sanlock surely knows the state of the other hosts. */
  readonly hostsMs: number;
  /** As long as sanlock shows a host event to other hosts, where `-b` does not say otherwise. */
  readonly noticeMs: number;
}

/** A host that is alive has renewed by then: after 2t, or one write later. */
export function rivalQuietMs(ioTimeoutS: number): number {
  const t = ioTimeoutS;
  const second = 1000;
  return (3 * t + 2) * second;
}

export function sanlockTimes(ioTimeoutS: number): SanlockTimes {
  const t = ioTimeoutS === 0 ? 10 : ioTimeoutS;
  const second = 1000;
  return {
    ioTimeoutS,
    quickMs: 20 * second,
    diskMs: (30 + 12 * t) * second,
    // A host id whose owner died is free 8t + 60 after its last renewal; then ours is written.
    joinMs: (2 * (8 * t + 60) + 60) * second,
    leaveMs: (60 + 12 * t) * second,
    sessionMs: 8 * t * second,
    hostsMs: 5 * t * second,
    noticeMs: 6 * t * second,
  };
}
