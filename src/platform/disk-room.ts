import { Share } from '../base/share.ts';
import { type AlignedBuffer, type AlignedPool, classOf, LARGEST } from './aligned-memory.ts';
import { FairQueue, type Queued } from './fair-queue.ts';

/** Of the engine's places; a renewal that is tried again and again needs two of them each time. */
export const URGENT_PLACES = 16;
/** More than lease procedures under way can have in flight, so that it is never reached. */
const MAX_WAITING = 1024;

export interface Visitor extends Queued {
  readonly length: number;
  /** A renewal: it has places and memory of its own. */
  readonly urgent: boolean;
  /** It has its place and memory; `leave` and `release` return them. */
  begin(buffer: AlignedBuffer): void;
}

/**
 * Places and memory for requests under way. A hung device may keep for ever all that it has taken,
 * so no device has more than it leaves for the others (the group is the device); a request that
 * finds no room waits in a queue, as long as its own time allows.
 */
export class DiskRoom {
  readonly #pool: AlignedPool;
  readonly #urgentPool: AlignedPool;
  readonly #places: Share<string>;
  readonly #bytes: Share<string>;
  readonly #queue = new FairQueue<Visitor>((visitor) => this.#admit(visitor), MAX_WAITING);
  #urgentPlaces = URGENT_PLACES;
  /** Those in places and memory of their own. */
  readonly #apart = new Set<Visitor>();

  constructor(parts: {
    readonly depth: number;
    readonly pool: AlignedPool;
    readonly urgentPool: AlignedPool;
  }) {
    this.#pool = parts.pool;
    this.#urgentPool = parts.urgentPool;
    this.#places = new Share(parts.depth - URGENT_PLACES);
    this.#bytes = new Share(parts.pool.limitBytes);
  }

  /** @returns false when it is too long for any buffer, or too many wait */
  enter(visitor: Visitor): boolean {
    if (visitor.length > LARGEST) return false;
    return (visitor.urgent && this.#admitUrgent(visitor)) || this.#queue.enter(visitor);
  }

  forget(visitor: Visitor): void {
    this.#queue.forget(visitor);
  }

  /** The engine is done with it; its memory may still be read. */
  leave(visitor: Visitor): void {
    if (this.#apart.has(visitor)) this.#urgentPlaces++;
    else this.#places.give(visitor.group);
    this.#queue.next();
  }

  /** Behind `leave`. */
  release(visitor: Visitor, buffer: AlignedBuffer): void {
    if (this.#apart.delete(visitor)) this.#urgentPool.give(buffer);
    else {
      this.#pool.give(buffer);
      this.#bytes.give(visitor.group, buffer.bytes.length);
    }
    this.#queue.next();
  }

  #admitUrgent(visitor: Visitor): boolean {
    if (this.#urgentPlaces === 0) return false;
    const buffer = this.#urgentPool.take(visitor.length);
    if (buffer === null) return false;
    this.#urgentPlaces--;
    this.#apart.add(visitor);
    visitor.begin(buffer);
    return true;
  }

  #admit(visitor: Visitor): boolean {
    const { group } = visitor;
    const bytes = classOf(visitor.length);
    if (!this.#places.fits(group) || !this.#bytes.fits(group, bytes)) return false;
    const buffer = this.#pool.take(visitor.length);
    if (buffer === null) return false;
    this.#places.take(group);
    this.#bytes.take(group, bytes);
    visitor.begin(buffer);
    return true;
  }
}
