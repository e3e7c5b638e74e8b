import type { ByteString } from '../base/bytes.ts';
import { wholeSeconds } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeaseOffset, type Geometry } from '../format/geometry.ts';
import { hasHostBit } from '../format/host-bitmap.ts';
import {
  DELTA_DISK_MAGIC,
  type DeltaLeader,
  damageOfDelta,
  deltaLeader,
  leaderChecksum,
} from '../format/leader.ts';
import type { HostView } from '../lease/member.ts';
import type { HostRecord, HostSignal } from './messages.ts';

// Word offsets (u32) in a delta leader, from its table: read in place, 2000 at each renewal.
const OWNER_WORD = deltaLeader.fields.ownerId.offset >>> 2;
const GENERATION_WORD = deltaLeader.fields.ownerGeneration.offset >>> 2;
const TIMESTAMP_WORD = deltaLeader.fields.timestampS.offset >>> 2;

/** What is new in a lockspace area: hosts whose record moved, and signals of theirs to us. */
export interface HostChanges {
  readonly changed: readonly HostRecord[];
  readonly signals: readonly HostSignal[];
}

/**
 * What one host has seen of all others in a lockspace, updated from the area each renewal reads
 * (spec 10 §7). A record that is no sound host lease of this lockspace shows one thing, that
 * something moved: its host may seem alive for longer, but owner, generation and io timeout stay.
 */
export class HostTable {
  readonly #geometry: Geometry;
  readonly #lockspaceName: ByteString;
  readonly #ownHostId: number;
  readonly #views: (HostView | null)[];
  /** owner, generation, timestamp: two words each, as last seen. */
  readonly #seen: Uint32Array;
  /** 1 where that record was no sound host lease: it may become one and not move. */
  readonly #unsound: Uint8Array;
  #firstCheckMs = 0;
  #lastCheckMs = 0;
  #knownHosts = 0;

  constructor(of: { geometry: Geometry; lockspaceName: ByteString; ownHostId: number }) {
    this.#geometry = of.geometry;
    this.#lockspaceName = of.lockspaceName;
    this.#ownHostId = of.ownHostId;
    this.#views = new Array<HostView | null>(of.geometry.maxHosts).fill(null);
    this.#seen = new Uint32Array(of.geometry.maxHosts * 6);
    this.#unsound = new Uint8Array(of.geometry.maxHosts);
  }

  /** The largest host id ever seen in use; 0 before the first renewal. */
  get knownHosts(): number {
    return this.#knownHosts;
  }

  /** null before the first renewal. A host never seen in use has ownerId 0 and timestamp 0. */
  view(hostId: number): HostView | null {
    if (this.#lastCheckMs === 0) return null;
    const view = this.#views[hostId - 1] ?? NEVER_SEEN;
    return { ...view, firstCheckMs: this.#firstCheckMs, lastCheckMs: this.#lastCheckMs };
  }

  /** @param area a whole lockspace area as just read; not kept */
  observe(area: Uint8Array, nowMs: number): HostChanges {
    if (this.#firstCheckMs === 0) this.#firstCheckMs = nowMs;
    this.#lastCheckMs = nowMs;
    const words = new Uint32Array(area.buffer, area.byteOffset, area.byteLength >>> 2);
    const step = this.#geometry.sectorSize >>> 2;
    const changed: HostRecord[] = [];
    const signals: HostSignal[] = [];
    for (let index = 0, at = 0; index < this.#geometry.maxHosts; index++, at += step) {
      const moved = this.#moved(words, at, index * 6);
      if (!moved && this.#unsound[index] === 0) continue;
      const found = decode(deltaLeader, area, at * 4);
      const usable = this.#usable(found, area, index + 1);
      if (!moved && !usable) continue;
      if (index >= this.#knownHosts) this.#knownHosts = index + 1;
      this.#unsound[index] = usable ? 0 : 1;
      this.#remember(words, at, index * 6);
      changed.push(this.#note(found, { index, nowMs, usable }));
      const signal =
        usable && index + 1 !== this.#ownHostId ? this.#signal(found, area, index + 1) : null;
      if (signal !== null) signals.push(signal);
    }
    return { changed, signals };
  }

  #moved(words: Uint32Array, at: number, seenAt: number): boolean {
    const seen = this.#seen;
    return (
      words[at + TIMESTAMP_WORD] !== seen[seenAt + 4] ||
      words[at + TIMESTAMP_WORD + 1] !== seen[seenAt + 5] ||
      words[at + GENERATION_WORD] !== seen[seenAt + 2] ||
      words[at + GENERATION_WORD + 1] !== seen[seenAt + 3] ||
      words[at + OWNER_WORD] !== seen[seenAt] ||
      words[at + OWNER_WORD + 1] !== seen[seenAt + 1]
    );
  }

  /** C does not test the checksum here (spec 10 §17.1 item 10). */
  #usable(found: DeltaLeader, area: Uint8Array, hostId: number): boolean {
    return (
      found.magic === DELTA_DISK_MAGIC &&
      found.spaceName === this.#lockspaceName &&
      found.checksum === leaderChecksum(area, deltaLeaseOffset(this.#geometry, hostId)) &&
      damageOfDelta(found, hostId) === null
    );
  }

  #remember(words: Uint32Array, at: number, seenAt: number): void {
    for (let word = 0; word < 2; word++) {
      this.#seen[seenAt + word] = words[at + OWNER_WORD + word] ?? 0;
      this.#seen[seenAt + 2 + word] = words[at + GENERATION_WORD + word] ?? 0;
      this.#seen[seenAt + 4 + word] = words[at + TIMESTAMP_WORD + word] ?? 0;
    }
  }

  #note(found: DeltaLeader, at: { index: number; nowMs: number; usable: boolean }): HostRecord {
    const before = this.#views[at.index] ?? NEVER_SEEN;
    const view: HostView = {
      ownerId: at.usable ? Number(found.ownerId) : before.ownerId,
      generation: at.usable ? found.ownerGeneration : before.generation,
      timestampS: found.timestampS,
      ioTimeoutS: at.usable ? found.ioTimeoutS & 0xff : before.ioTimeoutS,
      hostName: at.usable ? found.hostName : before.hostName,
      firstCheckMs: before.firstCheckMs,
      lastCheckMs: before.lastCheckMs,
      lastLiveMs: at.nowMs,
    };
    this.#views[at.index] = view;
    return {
      hostId: at.index + 1,
      ownerId: view.ownerId,
      generation: view.generation,
      timestampS: view.timestampS,
      ioTimeoutS: view.ioTimeoutS,
      hostName: view.hostName,
      firstCheckS: wholeSeconds(this.#firstCheckMs),
      lastLiveS: wholeSeconds(at.nowMs),
    };
  }

  #signal(found: DeltaLeader, area: Uint8Array, fromHostId: number): HostSignal | null {
    const offset = deltaLeaseOffset(this.#geometry, fromHostId);
    if (!hasHostBit(area, offset, this.#ownHostId)) return null;
    const event =
      found.eventNumber === 0n
        ? null
        : { generation: found.eventGeneration, number: found.eventNumber, data: found.eventData };
    return { fromHostId, fromGeneration: found.ownerGeneration, event };
  }
}

const NEVER_SEEN: HostView = {
  ownerId: 0,
  generation: 0n,
  timestampS: 0n,
  ioTimeoutS: 0,
  hostName: '',
  firstCheckMs: 0,
  lastCheckMs: 0,
  lastLiveMs: 0,
};
