import { unreachable } from '../../base/assert.ts';
import type { HeldLease } from '../../lease-process/messages.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Io, SimStorage } from '../kernel/disk.ts';
import { SECTOR_BYTES, sectorAt } from '../kernel/layout.ts';
import { type Claim, Claims, type Incarnation } from './claims.ts';
import { HostLeaseRules } from './host-lease-rules.ts';
import { LeaseRules } from './lease-rules.ts';
import { NoteRules } from './note-rules.ts';
import { Violation } from './violation.ts';

/** Checks every write as it is sent and as it lands, and every claim. Throws `Violation`. */
export class InvariantChecker {
  readonly claims: Claims = new Claims();
  readonly hosts: HostLeaseRules;
  readonly leases: LeaseRules;
  readonly #notes = new NoteRules();
  readonly #incarnations = new Map<string, Incarnation>();

  constructor(storage: SimStorage, clock: SimClock) {
    this.hosts = new HostLeaseRules(clock);
    this.leases = new LeaseRules(this.claims, this.hosts, this.#notes);
    storage.onStart = (io) => this.#started(io);
    storage.onWrite = (io, bytes, device) => this.#landing(io, bytes, device);
    storage.onLanded = (io, _bytes, device) => this.#landed(io, device);
  }

  /** @param label what the disk operations of a process carry that works for the incarnation */
  begin(label: string, incarnation: Incarnation): void {
    this.#incarnations.set(label, incarnation);
  }

  /** Also of a conversion: its user had the lease before. */
  granted(claim: Claim, device: Uint8Array): void {
    const { incarnation, resource } = claim;
    if (incarnation.generation === null)
      throw new Violation(9, `${incarnation.label} granted before it joined`);
    this.#notes.granted(claim, device);
    this.leases.checkHolders(resource, device);
  }

  /** A membership that is resumed found a lease on the disk that it had: as its user has it. */
  recovered(
    incarnation: Incarnation,
    of: { readonly resource: number; readonly hold: HeldLease; readonly device: Uint8Array },
  ): void {
    const { resource, hold, device } = of;
    if (hold.generation !== incarnation.generation) {
      throw new Violation(13, `${incarnation.label} has R${resource} as ${hold.generation}`);
    }
    const claim = this.claims.find(incarnation, resource);
    if (claim !== null) {
      if (claim.mode === 'exclusive' && hold.shared) {
        throw new Violation(5, `R${resource}: ${incarnation.label} holds it exclusive, not shared`);
      }
      claim.isChanging = false;
      claim.hold = hold;
    }
    this.leases.checkHolders(resource, device);
  }

  /** Item 9: after own expiry no lease write starts. Formatting has no incarnation. */
  #started(io: Io): void {
    const incarnation = this.#incarnations.get(io.host);
    if (incarnation === undefined || !io.write) return;
    const sector = sectorAt(io.offset);
    if (io.length !== SECTOR_BYTES || sector.kind === 'nothing') {
      throw new Violation(14, `${incarnation.label} writes ${io.length} bytes at ${io.offset}`);
    }
    if (incarnation.isOver) throw new Violation(9, `${incarnation.label} writes after its end`);
    if (incarnation.isExpired() && sector.kind !== 'hostLease') {
      throw new Violation(9, `${incarnation.label} writes a ${sector.kind} after its own expiry`);
    }
  }

  #landing(io: Io, sector: Uint8Array, device: Uint8Array): void {
    const incarnation = this.#incarnations.get(io.host);
    if (incarnation === undefined) return;
    const at = sectorAt(io.offset);
    switch (at.kind) {
      case 'hostLease':
        this.hosts.write(at.hostId, incarnation, sector, device);
        return;
      case 'leader':
        this.leases.writeLeader(at.resource, incarnation, sector, device);
        return;
      case 'block':
        this.leases.writeBlock(at.resource, at.hostId, incarnation, { sector, device });
        return;
      case 'value':
        this.leases.writeValue(at.resource, incarnation);
        return;
      case 'request':
      case 'nothing':
        return;
      default:
        unreachable(at);
    }
  }

  #landed(io: Io, device: Uint8Array): void {
    if (!this.#incarnations.has(io.host)) return;
    const at = sectorAt(io.offset);
    if (at.kind === 'leader' || at.kind === 'block') {
      this.leases.checkHolders(at.resource, device);
    }
  }
}
