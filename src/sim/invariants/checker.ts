import { SECTOR_BYTES, sectorAt } from '../cluster/layout.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Io, SimStorage } from '../kernel/disk.ts';
import { Claims, type Life } from './claims.ts';
import { HostLeaseRules } from './host-lease-rules.ts';
import { LeaseRules } from './lease-rules.ts';
import { Violation } from './violation.ts';

/** Watches every write on its way out and as it lands, and every claim. Throws `Violation`. */
export class Judge {
  readonly claims: Claims = new Claims();
  readonly hosts: HostLeaseRules;
  readonly leases: LeaseRules;
  readonly #lives = new Map<string, Life>();

  constructor(storage: SimStorage, clock: SimClock) {
    this.hosts = new HostLeaseRules(clock);
    this.leases = new LeaseRules(this.claims, this.hosts);
    storage.onStart = (io) => this.#started(io);
    storage.onWrite = (io, bytes, device) => this.#landing(io, bytes, device);
    storage.onLanded = (io, _bytes, device) => this.#landed(io, device);
  }

  /** Its disk operations carry the life's label. */
  begin(life: Life): void {
    this.#lives.set(life.label, life);
  }

  granted(life: Life, resource: number, device: Uint8Array): void {
    if (life.generation === null) throw new Violation(9, `${life.label} granted before it joined`);
    this.leases.checkHolders(resource, device);
  }

  /** Item 9: after own expiry no lease write starts. Formatting has no life. */
  #started(io: Io): void {
    const life = this.#lives.get(io.host);
    if (life === undefined || !io.write) return;
    const sector = sectorAt(io.offset);
    if (io.length !== SECTOR_BYTES || sector.kind === 'nothing') {
      throw new Violation(14, `${life.label} writes ${io.length} bytes at ${io.offset}`);
    }
    if (life.isOver) throw new Violation(9, `${life.label} writes after its end`);
    if (life.isExpired() && sector.kind !== 'hostLease') {
      throw new Violation(9, `${life.label} writes a ${sector.kind} after its own expiry`);
    }
  }

  #landing(io: Io, sector: Uint8Array, device: Uint8Array): void {
    const life = this.#lives.get(io.host);
    if (life === undefined) return;
    const at = sectorAt(io.offset);
    switch (at.kind) {
      case 'hostLease':
        this.hosts.write(at.hostId, life, sector, device);
        return;
      case 'leader':
        this.leases.writeLeader(at.resource, life, sector, device);
        return;
      case 'block':
        this.leases.writeBlock(at.resource, at.hostId, life, { sector, device });
        return;
      case 'value':
        this.leases.writeValue(at.resource, life);
        return;
      default:
        return;
    }
  }

  #landed(io: Io, device: Uint8Array): void {
    if (!this.#lives.has(io.host)) return;
    const at = sectorAt(io.offset);
    if (at.kind === 'leader' || at.kind === 'block') {
      this.leases.checkHolders(at.resource, device);
    }
  }
}
