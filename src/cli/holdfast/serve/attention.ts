import { type Attention, attentionIn } from '../../../inspect/snapshot/attention.ts';
import type { Snapshot } from '../../../inspect/snapshot/snapshot.ts';
import type { Attention as ShownAttention } from '../../../web/model.ts';
import { adviceOf } from '../status/attention-text.ts';

/** Users are stopped, or soon will be. */
const URGENT: ReadonlySet<Attention['kind']> = new Set([
  'daemonSilent',
  'lockspaceFailing',
  'lockspaceLate',
  'vgLost',
]);

/** What `holdfast status` says of the snapshot too, the urgent first. */
export function shownAttention(snapshot: Snapshot): readonly ShownAttention[] {
  const all = attentionIn(snapshot).map((one) => ({
    level: URGENT.has(one.kind) ? ('error' as const) : ('warn' as const),
    ...adviceOf(one),
  }));
  const isUrgent = ({ level }: ShownAttention) => level === 'error';
  return [...all.filter(isUrgent), ...all.filter((one) => !isUrgent(one))];
}
