import { decode } from '../../codec/struct.ts';
import { type Dblock, dblock, encodeDblock } from '../../format/dblock.ts';
import { deltaLeaseOffset, GEOMETRY_512_1M, MODE_BLOCK_OFFSET } from '../../format/geometry.ts';
import {
  type DeltaLeader,
  deltaLeader,
  encodeDeltaLeader,
  encodePaxosLeader,
  type PaxosLeader,
  paxosLeader,
} from '../../format/leader.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';
import type { SimStorage } from '../kernel/disk.ts';
import { blockOffset, LUN, leaderOffset, SECTOR_BYTES, sectorAt } from '../kernel/layout.ts';

/** No stray stays for longer, so that leases are granted between them. */
const MOST_MS = 20_000;
/** From the end of what 64 bits hold, or of half of it. */
const STEPS: readonly [bigint, ...bigint[]] = [1n, 2n, 3n, 2000n, 2001n, 4002n];

/** `mode`: only where a shared hold would stand. */
export type StrayKind = 'any' | 'mode';

interface Stray {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/**
 * Sectors that for a while read as bytes no host has written: a sound checksum over numbers near
 * the end of 64 bits, or half a sector of other bytes. The written bytes come back in time, or the
 * next write replaces them.
 */
export class StraySectors {
  readonly #storage: SimStorage;
  readonly #clock: SimClock;
  readonly #dice: Dice;
  readonly #of: { readonly hosts: number; readonly resources: number };
  readonly #log: (text: string) => void;
  readonly #leaderUntilMs = new Map<number, number>();
  #isOver = false;

  constructor(of: {
    readonly storage: SimStorage;
    readonly clock: SimClock;
    readonly dice: Dice;
    readonly hosts: number;
    readonly resources: number;
    readonly log: (text: string) => void;
  }) {
    this.#storage = of.storage;
    this.#clock = of.clock;
    this.#dice = of.dice;
    this.#of = { hosts: of.hosts, resources: of.resources };
    this.#log = of.log;
  }

  /** @param everyMs between two strays, at most; 0 = none */
  begin(everyMs: number, kind: StrayKind): void {
    if (everyMs === 0) return;
    this.#clock.after(this.#dice.between(0.02, 1) * everyMs, () => {
      if (this.#isOver) return;
      this.#place(kind === 'mode' ? this.#mode() : this.#any());
      this.begin(everyMs, kind);
    });
  }

  /** Until when, at most, that leader was last read as something else; -Infinity = never. */
  lastOfLeader(resource: number): number {
    return this.#leaderUntilMs.get(resource) ?? -Infinity;
  }

  heal(): void {
    this.#isOver = true;
    this.#storage.clearStrays(LUN);
  }

  #place({ offset, bytes, text }: Stray): void {
    const forMs = this.#dice.between(0, 1) ** 2 * MOST_MS;
    this.#log(`${text} for ${Math.round(forMs)} ms`);
    this.#storage.stray(LUN, offset, bytes);
    const at = sectorAt(offset);
    if (at.kind === 'leader') this.#leaderUntilMs.set(at.resource, this.#clock.nowMs() + forMs);
    this.#clock.after(forMs, () => this.#storage.unstray(LUN, offset, bytes));
  }

  #any(): Stray {
    const what = this.#dice.next();
    if (what < 0.4) return this.#block();
    if (what < 0.65) return this.#leader();
    if (what < 0.75) return this.#hostLease();
    return what < 0.85 ? this.#torn() : this.#mode();
  }

  #block(): Stray {
    const { resource, hostId } = this.#anywhere();
    const offset = blockOffset(resource, hostId);
    const names = ['mbal', 'lver', 'lver', 'bal', 'inpHostId', 'inpGeneration'] as const;
    const change: Partial<Dblock> = this.#far(names);
    const bytes = this.#sector(offset);
    encodeDblock({ ...decode(dblock, bytes), ...change }, bytes);
    return { offset, bytes, text: `R${resource} block[${hostId}] reads ${wordsOf(change)}` };
  }

  #leader(): Stray {
    const { resource } = this.#anywhere();
    const offset = leaderOffset(resource);
    const names = ['lver', 'lver', 'maxHosts', 'ownerGeneration', 'timestampS'] as const;
    const change: Partial<PaxosLeader> = this.#dice.chance(0.2)
      ? { ownerId: 4294965249n, timestampS: 7n }
      : this.#far(names);
    const bytes = this.#sector(offset);
    encodePaxosLeader({ ...decode(paxosLeader, bytes), ...change }, bytes);
    return { offset, bytes, text: `R${resource} leader reads ${wordsOf(change)}` };
  }

  #hostLease(): Stray {
    const hostId = 1 + this.#dice.below(this.#of.hosts);
    const offset = deltaLeaseOffset(GEOMETRY_512_1M, hostId);
    const names = ['ownerGeneration', 'timestampS', 'ownerId'] as const;
    const change: Partial<DeltaLeader> = this.#far(names);
    const bytes = this.#sector(offset);
    encodeDeltaLeader({ ...decode(deltaLeader, bytes), ...change }, bytes);
    return { offset, bytes, text: `host lease ${hostId} reads ${wordsOf(change)}` };
  }

  /** A sector whose end is other bytes. */
  #torn(): Stray {
    const { resource, hostId } = this.#anywhere();
    const isLeader = this.#dice.chance(0.5);
    const offset = isLeader ? leaderOffset(resource) : blockOffset(resource, hostId);
    const bytes = this.#sector(offset);
    const cut = 8 * (1 + this.#dice.below(16));
    for (let at = cut; at < SECTOR_BYTES; at++) bytes[at] = this.#dice.below(256);
    const what = isLeader ? 'leader' : `block[${hostId}]`;
    return { offset, bytes, text: `R${resource} ${what} reads torn at ${cut}` };
  }

  /** A sound ballot, and behind it bytes no host writes where a shared hold would stand. */
  #mode(): Stray {
    const { resource, hostId } = this.#anywhere();
    const offset = blockOffset(resource, hostId);
    const bytes = this.#sector(offset);
    for (let at = MODE_BLOCK_OFFSET; at < SECTOR_BYTES; at++) bytes[at] = this.#dice.below(256);
    return { offset, bytes, text: `R${resource} block[${hostId}] reads another mode` };
  }

  #anywhere(): { readonly resource: number; readonly hostId: number } {
    const resource = this.#dice.below(this.#of.resources);
    return { resource, hostId: 1 + this.#dice.below(Math.max(6, this.#of.hosts)) };
  }

  #sector(offset: number): Uint8Array {
    const device = this.#storage.device(LUN);
    return device?.slice(offset, offset + SECTOR_BYTES) ?? new Uint8Array(SECTOR_BYTES);
  }

  /** One of these near the end of what the disk can hold. */
  #far<K extends string>(names: readonly [K, ...K[]]): Partial<Record<K, bigint>> {
    const end = this.#dice.chance(0.7) ? 2n ** 64n : 2n ** 63n + 5000n;
    const far = end - this.#dice.pick(STEPS);
    const change: Partial<Record<K, bigint>> = {};
    change[this.#dice.pick(names)] = far;
    return change;
  }
}

function wordsOf(change: object): string {
  return Object.entries(change)
    .map(([field, value]) => `${field} ${value}`)
    .join(', ');
}
