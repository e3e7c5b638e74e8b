/** What the journal of an earlier daemon says of a lease that this membership may hold. */
export interface KnownLease {
  /**
   * none: an acquire was under way, or a release that its client had asked for, or something that
   * either had left to be done: whatever is there of ours is taken back.
   */
  readonly mode: 'none' | 'ex' | 'sh';
  /** Of the grant, or of the last conversion that ended; null exactly for `none`. */
  readonly lver: bigint | null;
  /**
   * What may have been sent since, without an answer in the journal. release: whether one was is
   * not known. Anything but `nothing` counts only once no refused write of before may land.
   */
  readonly begun: 'nothing' | 'toShared' | 'toExclusive' | 'release';
}
