import { ERRNO } from '../../base/errno.ts';
import type { HostLife, LeaseEffect, LeaseReply, Mode, Seen } from '../../guard/lease-steps.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';

/** sanlocks of a few hosts as their guards see them; checked against the daemons by interop tests. */

/** From the last renewal of a host until others may have its leases. */
const DEAD_MS = 140_000;

interface Hold {
  readonly hostId: number;
  readonly generation: number;
  mode: Mode;
  /** Its host has lost the lockspace; null: it renews. */
  freeAtMs: number | null;
}

/** What is on the disk. */
export class SimDisk {
  readonly holds = new Map<string, Hold[]>();
  readonly lenders = new Map<string, HostLife & { readonly uuid: string }>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Those that count. */
  holdsOf(name: string): readonly Hold[] {
    const holds = (this.holds.get(name) ?? []).filter(
      ({ freeAtMs }) => freeAtMs === null || this.#nowMs() < freeAtMs,
    );
    this.holds.set(name, holds);
    return holds;
  }

  add(name: string, hold: Hold): void {
    this.holds.set(name, [...this.holdsOf(name), hold]);
  }

  remove(name: string, hostId: number): void {
    const left = this.holdsOf(name).filter((one) => one.hostId !== hostId);
    this.holds.set(name, left);
  }

  /** It renews no more. */
  silence(hostId: number): void {
    for (const hold of [...this.holds.values()].flat()) {
      if (hold.hostId === hostId) hold.freeAtMs ??= this.#nowMs() + DEAD_MS;
    }
  }

  /** In another generation: what it held in the last one is free. */
  rejoin(hostId: number): void {
    for (const name of this.holds.keys()) this.remove(name, hostId);
  }
}

type Answer = Omit<LeaseReply, 'nowMs'>;

/** The one of a host. */
export class SimSanlock {
  readonly hostId: number;
  generation = 1;
  joined = true;
  /** It was started again: what it had is on the disk, and not read yet. */
  isRecovering = false;
  /** By lease, then by pid. */
  readonly tokens = new Map<string, Map<number, Mode>>();
  readonly orphans = new Map<string, Mode>();
  /** Pids. */
  readonly clients = new Set<number>();
  readonly #disk: SimDisk;

  constructor(hostId: number, disk: SimDisk) {
    this.hostId = hostId;
    this.#disk = disk;
  }

  perform(effect: LeaseEffect, of: { readonly pid: number; readonly uuid: string }): Answer {
    const { pid, uuid } = of;
    switch (effect.kind) {
      case 'acquire':
        return { code: this.#acquire(pid, effect) };
      case 'convert':
        return { code: this.#convert(pid, effect) };
      case 'release':
        return { code: this.#release(pid, effect.name) };
      case 'releaseOrphan':
        return { code: this.#releaseOrphan(effect.name) };
      case 'setLender': {
        const own = { hostId: BigInt(this.hostId), generation: BigInt(this.generation) };
        this.#disk.lenders.set(effect.lease.name, { ...own, uuid });
        return { code: 0 };
      }
      case 'getLender': {
        const by = this.#disk.lenders.get(effect.name) ?? null;
        return { code: 0, lent: { by, others: this.#others(effect.name) } };
      }
      case 'getOthers':
        return { code: 0, others: this.#others(effect.name) };
      case 'look': {
        const seen = this.isRecovering ? null : this.#look(pid, effect.names);
        return seen === null ? { code: -ERRNO.EAGAIN } : { code: 0, seen };
      }
      default:
        return { code: 0 };
    }
  }

  /** A process that had registered has ended: what it has is orphaned. */
  ended(pid: number): void {
    this.clients.delete(pid);
    for (const [name, holders] of this.tokens) {
      const mode = holders.get(pid);
      holders.delete(pid);
      if (mode !== undefined && holders.size === 0) this.orphans.set(name, mode);
    }
  }

  /** Of a lost lockspace, when nobody uses it. */
  forget(): void {
    this.tokens.clear();
    this.orphans.clear();
  }

  rejoin(): void {
    this.generation++;
    this.joined = true;
    this.#disk.rejoin(this.hostId);
  }

  /** null: none. */
  modeOf(name: string, pid: number): Mode | null {
    return this.tokens.get(name)?.get(pid) ?? null;
  }

  pidsWithTokens(): readonly number[] {
    return [...new Set([...this.tokens.values()].flatMap((holders) => [...holders.keys()]))];
  }

  #acquire(pid: number, of: Extract<LeaseEffect, { kind: 'acquire' }>): number {
    const { adopts, mode, name } = of;
    if (!this.clients.has(pid)) return -ERRNO.ESRCH;
    if (!this.joined) return -ERRNO.ENOSPC;
    if (this.isRecovering) return -ERRNO.EAGAIN;
    const holders = this.tokens.get(name) ?? new Map<number, Mode>();
    this.tokens.set(name, holders);
    const orphan = this.orphans.get(name);
    if (orphan !== undefined) {
      if (!adopts || orphan !== mode) return -ERRNO.EUCLEAN;
      this.orphans.delete(name);
      holders.set(pid, mode);
      return 0;
    }
    const [own] = holders.values();
    if (own !== undefined) {
      if (holders.has(pid) || own === 'exclusive' || mode === 'exclusive') return -ERRNO.EEXIST;
      holders.set(pid, mode);
      return 0;
    }
    const others = this.#disk.holdsOf(name);
    if (others.some((one) => one.mode === 'exclusive')) return SANLOCK_CODES.ACQUIRE_IDLIVE;
    if (mode === 'exclusive' && others.length > 0) return -ERRNO.EAGAIN;
    const { generation, hostId } = this;
    this.#disk.add(name, { hostId, generation, mode, freeAtMs: null });
    holders.set(pid, mode);
    return 0;
  }

  #convert(pid: number, { mode, name }: Extract<LeaseEffect, { kind: 'convert' }>): number {
    const holders = this.tokens.get(name);
    if (!this.clients.has(pid)) return -ERRNO.ESRCH;
    if (!this.joined) return -ERRNO.ENOSPC;
    if (holders?.has(pid) !== true) return -ERRNO.ENOENT;
    if (holders.get(pid) === mode) return -ERRNO.EALREADY;
    const holds = this.#disk.holdsOf(name);
    if (mode === 'exclusive' && (holds.length > 1 || holders.size > 1)) return -ERRNO.EAGAIN;
    for (const hold of holds) if (hold.hostId === this.hostId) hold.mode = mode;
    holders.set(pid, mode);
    return 0;
  }

  #release(pid: number, name: string): number {
    if (!this.clients.has(pid)) return -ERRNO.ESRCH;
    const holders = this.tokens.get(name);
    if (holders?.delete(pid) !== true) return -ERRNO.EPERM;
    if (holders.size === 0) this.#disk.remove(name, this.hostId);
    return 0;
  }

  #releaseOrphan(name: string): number {
    if (this.isRecovering || !this.orphans.delete(name)) return 0;
    this.#disk.remove(name, this.hostId);
    return 1;
  }

  #others(name: string): readonly HostLife[] {
    return this.#disk
      .holdsOf(name)
      .filter(({ hostId }) => hostId !== this.hostId)
      .map(({ hostId, generation }) => ({
        hostId: BigInt(hostId),
        generation: BigInt(generation),
      }));
  }

  /** null: the lockspace is ending, and its users are being ended. */
  #look(pid: number, names: readonly string[]): Seen | null {
    const isGone = !this.joined;
    const held = new Map<string, Mode>();
    const byOthers = new Map<string, number>();
    for (const [name, holders] of this.tokens) {
      for (const [holder, mode] of holders) {
        if (holder === pid) held.set(name, mode);
        else if (names.includes(name)) byOthers.set(name, holder);
      }
    }
    if (isGone && held.size > 0) return null;
    const orphans = new Map([...this.orphans].filter(([name]) => names.includes(name) && !isGone));
    return { held, orphans, byOthers, isRegistered: this.clients.has(pid), isGone };
  }
}
