import type { DoctorFacts } from './facts.ts';

/**
 * What is told once steps were taken: the look after them, and what the look before them did not
 * see, as that may have had steps too.
 */
export function afterSteps(before: DoctorFacts, after: DoctorFacts): DoctorFacts {
  const { unread } = after.snapshot;
  const earlier = before.snapshot.unread
    .filter((one) => !unread.some(({ what, of }) => what === one.what && of === one.of))
    .map((one) => ({ ...one, why: `before the steps, ${one.why}: ask again` }));
  return { ...after, snapshot: { ...after.snapshot, unread: [...unread, ...earlier] } };
}
