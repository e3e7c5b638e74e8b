import { type ByteString, textToName } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { SECOND_MS } from '../base/units.ts';
import { callOnce, type SanlockEndpoint } from '../client/sanlock-link.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { addLockspace, getHosts, getLockspaces } from '../wire/sanlock/daemon-calls.ts';
import { LSF_FLAGS } from '../wire/sanlock/socket.ts';
import type { Lockspace } from '../wire/sanlock/types.ts';
import type { GuardLeaseFiles } from './guard-lease-files.ts';

/** How often a lockspace is looked after: libvirt's plugin joins it once, and never again. */
const LOOK_MS = 5 * SECOND_MS;
const SOON_MS = SECOND_MS;
const JOIN_MS = 600 * SECOND_MS;
/** A join may take minutes, and hooks come and go meanwhile. */
const MOST_WAITING = 1000;
const ASK_MS = 10 * SECOND_MS;

export interface GuardLockspaceParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly sanlock: SanlockEndpoint;
  readonly files: Pick<GuardLeaseFiles, 'ensureLockspace'>;
  /** What should be mounted where the leases are, and is not; null: nothing. */
  readonly whyNotMounted: () => string | null;
  readonly lockspace: ByteString;
  readonly leaseDir: string;
  readonly hostId: number;
  readonly ioTimeoutS: number | null;
}

/** Keeps this host in the lockspace of the guests, for as long as the guard runs. */
export class GuardLockspace {
  readonly #parts: GuardLockspaceParts;
  /** 0: joined; null: not known yet. */
  #code: number | null = null;
  /** Of this host, as it was seen last; null: not yet. */
  #generation: bigint | null = null;
  #rejoined: () => void = () => {};
  readonly #waiting: (() => void)[] = [];
  #isLooking = false;
  #next: Timer | null = null;
  #hasEnded = false;

  constructor(parts: GuardLockspaceParts) {
    this.#parts = parts;
  }

  /** 0, or why this host is not in it; null: not asked yet. */
  get code(): number | null {
    return this.#code;
  }

  /**
   * `settled` is called once: when it is known whether this host is in the lockspace now. While it
   * was lost since the last look, that is when the next join has ended, however it did. Where too
   * many wait, it is at once, and sanlock answers.
   */
  whenSettled(settled: () => void): void {
    const isKnown = this.#code !== null && this.#code !== 0;
    if (isKnown || this.#waiting.length >= MOST_WAITING) {
      settled();
      return;
    }
    this.#waiting.push(settled);
    if (this.#code === 0) this.begin();
  }

  /**
   * `rejoined` is called whenever this host has another generation than before: what it held in the
   * last one is nobody's. So it is after a sanlock that was killed and has forgotten its clients.
   */
  onRejoined(rejoined: () => void): void {
    this.#rejoined = rejoined;
  }

  /** Looks at once, and from then on again and again. */
  begin(): void {
    if (this.#hasEnded || this.#isLooking) return;
    this.#isLooking = true;
    this.#next?.cancel();
    const wanted = this.#space();
    // An add of what is there would be logged by sanlock as refused, each time.
    callOnce(this.#parts.sanlock, getLockspaces(), LOOK_MS, (joined) => {
      if (joined.ok && joined.value.some((space) => isJoined(space, wanted))) this.#settled(0);
      else this.#make();
    });
  }

  close(): void {
    this.#hasEnded = true;
    this.#next?.cancel();
  }

  /** In the empty mount point of a share this host would be alone, and know nothing of it. */
  #make(): void {
    const reason = this.#parts.whyNotMounted();
    if (reason !== null) {
      this.#settled(-ERRNO.ENOENT, reason);
      return;
    }
    this.#parts.files.ensureLockspace((made) => (made < 0 ? this.#settled(made) : this.#join()));
  }

  #space(): Lockspace {
    const { lockspace: name, leaseDir, hostId } = this.#parts;
    const path = textToName(`${leaseDir}/${name}`);
    return { name, hostId: BigInt(hostId), path, offset: 0n };
  }

  #join(): void {
    const { ioTimeoutS, sanlock } = this.#parts;
    const call = addLockspace(this.#space(), ioTimeoutS === null ? {} : { ioTimeoutS });
    callOnce(sanlock, call, JOIN_MS, (added) => {
      const code = added.ok ? added.value : added.error.code;
      // libvirt's plugin joins it as well, perhaps at this moment.
      if (code === -ERRNO.EINPROGRESS) this.#lookAgain(SOON_MS);
      else this.#settled(code === -ERRNO.EEXIST ? 0 : code);
    });
  }

  #settled(code: number, reason = ''): void {
    const { hostId, lockspace, log } = this.#parts;
    if (code !== this.#code && !this.#hasEnded) {
      const fields = { lockspace, hostId, code, ...(reason === '' ? {} : { reason }) };
      if (code === 0) log.info('lockspace.joined', fields);
      else log.warn('lockspace.notJoined', fields);
    }
    this.#code = code;
    if (code === 0) this.#seeGeneration();
    for (const settled of this.#waiting.splice(0)) settled();
    this.#lookAgain(LOOK_MS);
  }

  #lookAgain(afterMs: number): void {
    this.#isLooking = false;
    this.#next = this.#parts.clock.after(afterMs, () => this.begin());
  }

  /** Whoever has joined it. */
  #seeGeneration(): void {
    const { clock, hostId, lockspace, log, sanlock } = this.#parts;
    callOnce(sanlock, getHosts(lockspace, BigInt(hostId)), ASK_MS, (hosts) => {
      const own = hosts.ok ? hosts.value.find((host) => host.hostId === BigInt(hostId)) : undefined;
      if (this.#hasEnded) return;
      if (own === undefined || own.generation === 0n) {
        // It has not read the host leases since it has joined.
        if (!hosts.ok && hosts.error.code === -ERRNO.EAGAIN) {
          clock.after(SOON_MS, () => this.#seeGeneration());
        }
        return;
      }
      const before = this.#generation;
      this.#generation = own.generation;
      if (before === null || before === own.generation) return;
      log.warn('lockspace.rejoined', { lockspace, hostId, generation: Number(own.generation) });
      this.#rejoined();
    });
  }
}

/**
 * Not while it is being joined, or left; and not one of that name in another place, whose hosts are
 * others: it is told to join, and its refusal is logged.
 */
function isJoined({ flags, hostId, name, path }: Lockspace, wanted: Lockspace): boolean {
  if (((flags ?? 0) & (LSF_FLAGS.ADD | LSF_FLAGS.REM)) !== 0) return false;
  return name === wanted.name && path === wanted.path && hostId === wanted.hostId;
}
