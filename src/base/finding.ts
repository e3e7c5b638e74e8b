/** Something that an administrator should know, and what to do about it. */
export interface Finding {
  /** For programs: it does not change from release to release. */
  readonly kind: string;
  /**
   * `problem`: something is unprotected, or does not work. `caution`: that may come. `note`: it is
   * as it should be, and has to be the same on other hosts, or is only worth knowing.
   */
  readonly weight: 'problem' | 'caution' | 'note';
  /** What is so: a sentence without its full stop. */
  readonly found: string;
  /** What to do: the same. */
  readonly cure: string;
}

/** Whether somebody has to do something. */
export function needsAttention(findings: readonly Pick<Finding, 'weight'>[]): boolean {
  return findings.some(({ weight }) => weight !== 'note');
}

/** A finding of that weight. */
export function problem(kind: string, found: string, cure: string): Finding {
  return { kind, weight: 'problem', found, cure };
}

/** A finding of that weight. */
export function caution(kind: string, found: string, cure: string): Finding {
  return { kind, weight: 'caution', found, cure };
}

/** A finding of that weight. */
export function note(kind: string, found: string, cure: string): Finding {
  return { kind, weight: 'note', found, cure };
}
