import type { ReportedLv } from '../../../inspect/snapshot/lvm-report.ts';
import type { Snapshot } from '../../../inspect/snapshot/snapshot.ts';
import type { LvsAnswer, ObservePorts } from '../../observe/snapshot.ts';

/** lvm is asked again after so long, for what other hosts have done: it costs more than the rest. */
export const LVM_EVERY_MS = 60_000;

/**
 * What lvm reported, for several looks. Whatever this host locks or unlocks shows in lvmlockd, and
 * lvm is asked again at once; what another host creates or removes shows within a minute.
 */
export class KnownLvs {
  readonly #ask: () => Promise<LvsAnswer>;
  readonly #nowMs: () => number;
  #known: { readonly lvs: readonly ReportedLv[]; readonly atMs: number } | null = null;
  /** Of the look that lvm was asked for. */
  #locks: string | null = null;

  constructor(ask: () => Promise<LvsAnswer>, nowMs: () => number) {
    this.#ask = ask;
    this.#nowMs = nowMs;
  }

  /** In the place of asking lvm. */
  async lvs(): Promise<LvsAnswer> {
    const known = this.#known;
    if (known !== null && this.#nowMs() - known.atMs < LVM_EVERY_MS) {
      return { ok: true, value: known.lvs, isOfNow: false };
    }
    const answer = await this.#ask();
    this.#known = answer.ok ? { lvs: answer.value, atMs: this.#nowMs() } : null;
    this.#locks = null;
    return answer;
  }

  /** @returns whether that look is made of what lvm reported before the locks changed */
  isOutdatedBy(snapshot: Snapshot): boolean {
    const locks = locksOf(snapshot);
    const isOutdated = this.#locks !== null && this.#locks !== locks;
    this.#locks = locks;
    if (isOutdated) this.#known = null;
    return isOutdated;
  }
}

/** What lvmlockd says of this host, with which lvm's report has to agree. */
function locksOf({ vgs }: Snapshot): string {
  return JSON.stringify(
    vgs.map(({ name, isStarted, lvs }) => {
      const locked = lvs.filter(({ lockHere, trouble }) => lockHere !== null || trouble !== null);
      return [
        name,
        isStarted,
        locked.map(({ uuid, lockHere, trouble }) => [uuid, lockHere, trouble]),
      ];
    }),
  );
}

/** Looks with what lvm reported, and once more if it has become old. */
export async function lookWith(
  known: KnownLvs,
  ports: Omit<ObservePorts, 'lvs'>,
  take: (ports: ObservePorts) => Promise<Snapshot>,
): Promise<Snapshot> {
  const whole = { ...ports, lvs: () => known.lvs() };
  const snapshot = await take(whole);
  if (!known.isOutdatedBy(snapshot)) return snapshot;
  const again = await take(whole);
  known.isOutdatedBy(again);
  return again;
}
